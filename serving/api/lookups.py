"""Types of look-ups: stored forecasts, features and their declarations, the regime, the strategy."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from serving.api.base import (
    CURRENCY,
    HORIZON_MINUTES,
    HORIZON_SESSIONS,
    PRICE_BASIS,
    TARGET_SESSION,
    Answer,
    Finite,
    Part,
    Price,
    PriceBasis,
    SymbolAnswer,
)
from serving.api.outlook import MEANING, Direction, Outlook


class StoredForecast(SymbolAnswer):
    """A forecast of which the table `forecasts` is all that is left: what it holds of it, and no more."""

    prediction_id: str
    kind: Literal["replay", "served", "scheduled"] = Field(description="how it came about")
    symbol: str
    as_of: datetime = Field(description="close of the last session the forecast knew")
    known_time: datetime = Field(description="market time at which it was made")
    made_at: datetime = Field(description="wall-clock time at which it was made")
    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES
    p10: Finite
    p50: Finite
    p90: Finite
    direction: Direction | None = Field(default=None, description="sign of the median")
    confidence: Finite | None = Field(
        default=None,
        ge=0.5,
        le=1,
        description="probability that the return has the median's sign, trusted as far as the receipt says that "
        "earlier ones came true; null where no intact receipt of the forecast is left",
    )
    outlook: Outlook | None = Field(default=None, description=f"{MEANING}; null where the confidence is")
    reference_price: Price | None = Field(
        description="close as it was traded; null where it is not known, and where price_basis is null"
    )
    target_price: Price | None = Field(description="reference price x (1 + p50); null where that is null")
    price_basis: PriceBasis | None = PRICE_BASIS
    currency: str | None = CURRENCY
    target_session: date | None = TARGET_SESSION
    regime: str
    strategy: str | None = Field(description="strategy in force; null in a replay, which is made for every model")
    model_name: str
    model_version: str
    model_digest: str
    feature_table_versions: dict[str, int]
    feature_hash: str
    is_degraded: bool


class FeatureDeclaration(Part):
    """One feature, as it is declared."""

    name: str
    unit: str = Field(description="empty for a number without one")
    formula: str
    meaning: str
    lookback_sessions: int = Field(ge=1, description="bars needed for the first value, the bar itself included")
    warm_up_sessions: int = Field(ge=1, description="bars after which the beginning of the history is forgotten")
    null_rule: str = Field(description="when the value is null, beyond the bars before the look-back")
    minimum: Finite | None
    maximum: Finite | None
    is_model_input: bool = Field(description="whether the models in service see it")


class FeatureTable(Part):
    """Features that are computed together and share a table."""

    table: str
    meaning: str
    is_online: bool = Field(description="whether /features/latest answers with them")
    features: list[FeatureDeclaration]


class FeatureSchemaAnswer(Answer):
    """Every feature of the platform."""

    window: str = Field(description="name of the models' input")
    window_sessions: int
    window_features: list[str] = Field(description="what a window holds of each session, in order")
    tables: list[FeatureTable]


class Looked(SymbolAnswer):
    """A value of the online store, with its times and whence it was read."""

    symbol: str
    as_of: datetime = Field(description="close of the session it is of")
    known_time: datetime = Field(description="when it was known")
    is_expired: bool = Field(description="whether it is older than such a value may be to count as current")
    is_degraded: bool = Field(description="whether the copy in memory answered in place of Redis")
    degraded_because: str = Field(description="why Redis did not answer; empty when it did")


class FeaturesAnswer(Looked):
    """The newest features of one symbol."""

    table: str
    features: dict[str, Finite | None] = Field(description="by name; null is not known, see /features/schema")


class HiddenMarkovOpinion(Part):
    """What hidden Markov models of the same market find: another method than the rule, under names of its own."""

    volatility: Literal["calm", "turbulent"] | None = Field(
        description="more probable state of the variance of daily returns; null before the model is fit"
    )
    turbulent_probability: Finite | None = Field(ge=0, le=1, description="from the sessions up to this one")
    drift: Literal["rising", "falling"] | None = Field(
        description="more probable state of the mean of returns; null before the model is fit"
    )
    rising_probability: Finite | None = Field(ge=0, le=1, description="from the sessions up to this one")
    agrees: bool | None = Field(description="whether both states are those of the rule; null where one is not known")
    explanation: str = Field(description="in one sentence, what the two methods find, and which one decides")


class RegimeAnswer(Looked):
    """The regime of the market that the symbol is traded in: by rule, and beside it by hidden Markov models."""

    market: str = Field(description="index that stands for the market")
    regime: str = Field(description="by rule: what strategies, calibration and forecasts go by")
    volatility_state: str = Field(description="by rule: volatility against its own past")
    trend_state: str = Field(description="by rule: close of the index against its mean over 200 sessions")
    volatility: Finite = Field(description="20-session volatility of the index, per year")
    trend_gap: Finite = Field(description="close of the index / its mean over 200 sessions - 1")
    hidden_markov: HiddenMarkovOpinion


class StrategyPart(Part):
    """One declared strategy and its weight now."""

    name: str
    weight: Finite = Field(ge=0, le=1)
    model: str = Field(description="model whose forecasts it reads")
    meaning: str


class StrategyAnswer(Looked):
    """The strategy in force for one symbol."""

    regime: str = Field(description="regime it was chosen for")
    selected_strategy: str = Field(description="strategy with the largest weight, or equal_weight")
    confidence: Finite = Field(description="probability that its weights earn more than equal weights over 20 sessions")
    strategies: list[StrategyPart] = Field(description="the whole pool, in declared order")
