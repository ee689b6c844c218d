"""Types of forecasts: requests and answers."""

from collections import Counter
from datetime import date, datetime
from typing import Self

from pydantic import Field, field_validator, model_validator

from serving.api.base import (
    BATCH_SYMBOLS,
    CURRENCY,
    HORIZON_MINUTES,
    HORIZON_SESSIONS,
    PRICE_BASIS,
    TARGET_SESSION,
    Answer,
    Finite,
    Horizon,
    Minutes,
    Part,
    Price,
    PriceBasis,
    Request,
    Symbol,
    SymbolAnswer,
)
from serving.api.explanations import FeatureName, ForecastExplanation
from serving.api.outlook import MEANING, Direction, Outlook, outlook_of
from serving.api.own_values import OwnValuesForecast

MOST_OWN_VALUES = 64
"""Features of which one request may name a value."""


class HorizonRequest(Request):
    """How far ahead: in sessions, or in minutes where the bars of the market are shorter than a session."""

    horizon_sessions: Horizon | None = None
    horizon_minutes: Minutes | None = None

    @model_validator(mode="after")
    def _is_one_horizon(self) -> Self:
        if (self.horizon_sessions is None) == (self.horizon_minutes is None):
            raise ValueError("name one horizon: horizon_sessions, or horizon_minutes of a market of minutes")
        return self


class PredictRequest(HorizonRequest):
    """One forecast."""

    symbol: Symbol
    include_explanation: bool = Field(default=False, description="whether the features that moved it most are told too")
    features: dict[FeatureName, Finite] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_OWN_VALUES,
        description="own values of features in the last session: what they forecast is told beside the forecast of the "
        "stored values, and not stored",
    )


class BatchRequest(HorizonRequest):
    """Forecasts for many symbols over one horizon."""

    symbols: list[Symbol] = Field(min_length=1, max_length=BATCH_SYMBOLS)

    @field_validator("symbols")
    @classmethod
    def _are_distinct(cls, symbols: list[str]) -> list[str]:
        if len(set(symbols)) < len(symbols):
            twice = sorted(symbol for symbol, times in Counter(symbols).items() if times > 1)[:5]
            raise ValueError(f"name each symbol once; found twice: {', '.join(twice)}")
        return symbols


class Prediction(Part):
    """What is forecast; returns are fractions of the reference price over the horizon."""

    target_price: Price | None = Field(description="reference price x (1 + p50); null where that is null")
    reference_price: Price | None = Field(
        description="last close before the forecast, as it was traded; null where it is not known"
    )
    price_basis: PriceBasis | None = PRICE_BASIS
    currency: str | None = CURRENCY
    target_session: date | None = TARGET_SESSION
    expected_return: Finite = Field(description="the median, p50")
    p10: Finite
    p50: Finite
    p90: Finite
    direction: Direction = Field(description="sign of the median")
    confidence: Finite = Field(
        ge=0.5,
        le=1,
        description="probability that the return has the median's sign, read off the calibrated quantiles and "
        "trusted as far as earlier ones came true",
    )
    # An answer from before this field has none; it follows from the two above.
    outlook: Outlook = Field(
        default_factory=lambda said: outlook_of(said["direction"], said["confidence"]), description=MEANING
    )
    is_calibrated: bool = Field(
        description="whether the band and the confidence were corrected by what came of earlier forecasts; false while "
        "too little has come of any"
    )
    coverage_target: Finite = Field(
        description="share of outcomes that p10..p90 is to hold; what calibration keeps to, in the long run"
    )
    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES
    regime: str


class Strategy(Part):
    """Which strategies the feedback loop trusts in this regime: what the paper portfolio holds."""

    selected_strategy: str
    parameter_weights: dict[str, Finite]
    heuristic_confidence: Finite = Field(
        description="probability that these weights earn more than equal weights over the next 20 sessions of the "
        "regime, by what they gained so far; 0.5 for equal weights"
    )


class ModelPart(Part):
    """One model's part in a forecast."""

    name: str
    version: str
    digest: str
    weight: Finite


class Model(Part):
    """What computed the forecast: one model, or its members' quantiles averaged by weights that their losses give."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 of the model file; of its members' digests for a blend")
    members: list[ModelPart]


class Data(Part):
    """What the forecast was computed from."""

    feature_table_versions: dict[str, int]
    feature_hash: str = Field(description="SHA-256 of the model's input window")
    age_sessions: int = Field(ge=0, description="bars, of a daily market sessions, that have closed since as_of")
    is_stale: bool = Field(description="whether a bar has closed that the forecast does not know")
    is_degraded: bool = Field(description="whether the copy in memory answered in place of Redis")
    degraded_because: str = Field(description="why Redis did not answer; empty when it did")


class PredictAnswer(SymbolAnswer):
    """One forecast with everything needed to look back on it."""

    prediction_id: str
    symbol: str
    as_of: datetime = Field(description="close of the last session the forecast knows")
    made_at: datetime = Field(description="wall-clock time at which it was made")
    prediction: Prediction
    strategy: Strategy
    model: Model
    data: Data
    explanation: ForecastExplanation | None = Field(
        default=None, exclude_if=lambda told: told is None, description="where it was asked for, and could be made"
    )
    what_if: OwnValuesForecast | None = Field(
        default=None,
        exclude_if=lambda told: told is None,
        description="what the values of the request forecast; only where it named some",
    )
    no_explanation_because: str | None = Field(
        default=None, exclude_if=lambda told: told is None, description="why one that was asked for is missing"
    )


class Unavailable(Part):
    """A symbol of a batch that has no forecast, and why."""

    symbol: str
    reason: str


class BatchAnswer(Answer):
    """Forecasts in the order asked for; symbols that cannot be forecast yet are listed apart."""

    predictions: list[PredictAnswer]
    unavailable: list[Unavailable]
