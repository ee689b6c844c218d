"""Types of the receipt of a forecast."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field

from serving.api.advice import LoggedRecommendation
from serving.api.base import (
    CURRENCY,
    HORIZON_MINUTES,
    HORIZON_SESSIONS,
    PRICE_BASIS,
    TARGET_SESSION,
    Answer,
    Finite,
    Part,
    PriceBasis,
)


class RowRead(Part):
    """Rows of one table version that a forecast was made from."""

    table: str
    version: int
    rows: int = Field(description="how many rows of it were used")
    first: datetime = Field(description="event time of the first of them")
    last: datetime = Field(description="event time of the last")
    meaning: str = Field(description="what they were used for")


class KnowledgeRead(Part):
    """How it is known when the bars behind the model input were known."""

    said: str = Field(description="the shares, in one sentence")
    bars: dict[str, int] = Field(
        description="bars of the window by the known_basis of the table bars; not_said where it is null"
    )


class FeatureVector(Part):
    """The input of the models."""

    hash: str = Field(description="SHA-256 of its little-endian float32 bytes")
    known_time: datetime | None = Field(description="when the last of it was known; null where it was not written down")
    features: list[str]
    values: list[list[Finite | None]] | None = Field(
        description="[session][feature], oldest session first; a null number is not known. Null where it is not known "
        "which row of the table it was."
    )


class Scaler(Part):
    """How a model scales its input, read out of its own file."""

    said: str = Field(description="where and on what, as the model's signature says it")
    mean: list[Finite] | None = Field(description="per feature; null for a model that does not scale")
    std: list[Finite] | None


class ModelRead(Part):
    """One model's part in the forecast."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 of the ONNX file")
    weight: Finite
    device: str = Field(description="where it was computed")
    provider: str = Field(description="what of ONNX Runtime computed it")
    threads: int
    trained_until: datetime | None = Field(description="null where the file is not there any more")
    trained_on: dict[str, int] | None = Field(description="table versions of its training")
    scaler: Scaler | None


class Decision(Part):
    """The decision behind the strategy weights, from the table `selections`."""

    decided_at: datetime = Field(description="close of the session that the decision knew")
    reason: str
    e_value: Finite = Field(description="evidence against equal weights")
    sessions: int = Field(description="sessions of the regime seen")
    probabilities: dict[str, Finite] = Field(description="posterior probability of each strategy of being best")


class StrategyRead(Part):
    """The strategy in force."""

    regime: str
    selected_strategy: str | None
    weights: dict[str, Finite] | None
    confidence: Finite | None
    decision: Decision | None


class CodeRead(Part):
    """What computed."""

    version: str
    commit: str
    sources: str = Field(description="SHA-256 over the sources that take part in a forecast")
    python: str
    numpy: str
    onnxruntime: str
    processor: str


class Seal(Part):
    """Whether row, answer and receipt are those that were written when the forecast was made."""

    is_intact: bool | None = Field(description="null for a forecast that was never sealed")
    altered: list[str] = Field(description="what was altered since, in words")


class LoggedExplanation(Part):
    """An explanation of the forecast, from the table `explanations`."""

    explanation_id: str
    method: str
    depth: str
    grain: str | None = Field(description="null for a text")
    made_at: datetime
    known_time: datetime = Field(description="market time at which it was computed")
    values: Any = Field(
        description="by quantity its base value, value and contributions; of a text, the facts that it cites from"
    )
    additivity_error: Finite | None = Field(description="null for a text")
    text: str | None = Field(description="the sentences that passed the check; null for numbers")
    writer: str | None = Field(description="null for numbers")
    dropped: int | None = Field(description="sentences that failed the check; null for numbers")


class ReceiptAnswer(Answer):
    """Everything that one forecast was made from."""

    prediction_id: str
    kind: Literal["served", "scheduled", "shadow", "replay", "trial"]
    symbol: str
    as_of: datetime
    made_at: datetime
    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES
    p10: Finite
    p50: Finite
    p90: Finite
    stored_in: str = Field(description="lake, or the place in the log from where it is not brought in yet")
    table_versions: dict[str, int]
    rows: list[RowRead]
    online: dict[str, Any] | None = Field(description="generation and source of the online read; null for a replay")
    feature_vector: FeatureVector
    knowledge: KnowledgeRead | None = Field(
        default=None, description="null where the bars of the window are not known, or cannot be read"
    )
    reference_price: Finite | None
    price_basis: PriceBasis | None = PRICE_BASIS
    currency: str | None = CURRENCY
    target_session: date | None = TARGET_SESSION
    strategy: StrategyRead
    models: list[ModelRead]
    blend: dict[str, Any] | None = Field(description="weights of models that were applied; null for a replay")
    calibration: dict[str, Any] | None = Field(description="correction that was applied; null for none")
    code: CodeRead | None
    seal: Seal
    explanations: list[LoggedExplanation] = Field(default=[], description="the oldest first")
    recommendations: list[LoggedRecommendation] = Field(
        default=[], description="that rest on it, without the books that they were for, the oldest first"
    )
    not_known: list[str] = Field(description="what was never written down, or cannot be read any more, in words")
