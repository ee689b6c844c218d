"""What the endpoint takes and gives, as types: the request schema, the answer and the problem."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

BATCH_SYMBOLS = 5_000
SYMBOL_LETTERS = 32

Finite = Annotated[float, Field(allow_inf_nan=False)]
Symbol = Annotated[
    str, Field(min_length=1, max_length=SYMBOL_LETTERS, description="instrument, as in /symbols", examples=["AAPL"])
]
Horizon = Annotated[int, Field(ge=1, le=252, description="sessions ahead, one that the models forecast", examples=[1])]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PredictRequest(_Request):
    """One forecast."""

    symbol: Symbol
    horizon_sessions: Horizon


class BatchRequest(_Request):
    """Forecasts for many symbols over one horizon."""

    symbols: list[Symbol] = Field(min_length=1, max_length=BATCH_SYMBOLS)
    horizon_sessions: Horizon

    @field_validator("symbols")
    @classmethod
    def _are_distinct(cls, symbols: list[str]) -> list[str]:
        if len(set(symbols)) < len(symbols):
            twice = sorted({symbol for symbol in symbols if symbols.count(symbol) > 1})[:5]
            raise ValueError(f"name each symbol once; found twice: {', '.join(twice)}")
        return symbols


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Prediction(_Answer):
    """What is forecast; returns are fractions of the reference price over the horizon."""

    target_price: Finite = Field(gt=0, description="reference price x (1 + p50)")
    reference_price: Finite = Field(gt=0, description="last close before the forecast, unadjusted where there is one")
    expected_return: Finite = Field(description="the median, p50")
    p10: Finite
    p50: Finite
    p90: Finite
    direction: Literal["up", "down", "flat"] = Field(description="sign of the median")
    confidence: Finite = Field(
        ge=0.5, le=1, description="probability that the return has the median's sign, read off the three quantiles"
    )
    horizon_sessions: int
    regime: str


class Strategy(_Answer):
    """Which strategies the feedback loop trusts in this regime; the models behind them make up the forecast."""

    selected_strategy: str
    parameter_weights: dict[str, Finite]
    heuristic_confidence: Finite = Field(description="posterior probability that the selected strategy is the best")


class ModelPart(_Answer):
    """One model's part in a forecast."""

    name: str
    version: str
    digest: str
    weight: Finite


class Model(_Answer):
    """What computed the forecast: one model, or a blend of its members' quantiles."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 of the model file; of its members' digests for a blend")
    members: list[ModelPart]


class Data(_Answer):
    """What the forecast was computed from."""

    feature_table_versions: dict[str, int]
    feature_hash: str = Field(description="SHA-256 of the model's input window")
    age_sessions: int = Field(ge=0, description="sessions that have closed since as_of")
    is_stale: bool = Field(description="whether a session has closed that the forecast does not know")
    is_degraded: bool = Field(description="whether the copy in memory answered in place of Redis")
    degraded_because: str = Field(description="why Redis did not answer; empty when it did")


class PredictAnswer(_Answer):
    """One forecast with everything needed to look back on it."""

    prediction_id: str
    symbol: str
    as_of: datetime = Field(description="close of the last session the forecast knows")
    made_at: datetime = Field(description="wall-clock time at which it was made")
    prediction: Prediction
    strategy: Strategy
    model: Model
    data: Data


class Unavailable(_Answer):
    """A symbol of a batch that has no forecast, and why."""

    symbol: str
    reason: str


class BatchAnswer(_Answer):
    """Forecasts in the order asked for; symbols that cannot be forecast yet are listed apart."""

    predictions: list[PredictAnswer]
    unavailable: list[Unavailable]


class ModelStatus(_Answer):
    """One model in service."""

    name: str
    version: str
    digest: str
    signature: str = Field(description="SHA-256 of its signature")
    horizons: list[int]
    quantiles: list[float]
    features: list[str]
    sessions: int
    table_versions: dict[str, int]
    train_until: datetime
    parity_windows: int
    parity_max_absolute_difference: float
    device: str


class StatusAnswer(_Answer):
    """The models in service and the market they stand in."""

    market_now: datetime
    models: list[ModelStatus]
    problem: str | None = Field(description="why the newest promotion is not in service, if it is not")


class Instrument(_Answer):
    """One symbol that can be asked for."""

    symbol: str
    name: str | None
    has_model_input: bool = Field(description="whether it can be forecast now")


class SymbolsAnswer(_Answer):
    """Every symbol that can be asked for."""

    symbols: list[Instrument]


class Health(_Answer):
    """Whether the service lives, or is ready."""

    status: Literal["alive", "ready"]


class Problem(BaseModel):
    """Every error of the endpoint: what it is, what was found, and what to do."""

    error: str
    detail: str
    hint: str
    nearest: list[str] = Field(default_factory=list)
