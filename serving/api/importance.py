"""Types of global importance: how much worse a model forecasts when a feature says nothing about its symbol."""

from datetime import datetime

from pydantic import Field

from serving.api.base import Answer, Finite, Part, is_absent

MEANING = (
    "Rise of the mean pinball loss when values and flags of a feature are exchanged among the symbols of each session: "
    "what the model loses without it. It says what the model uses, and nothing about causes."
)


class MeasuredFeature(Part):
    """One feature, or a cluster of features that are correlated and were exchanged together."""

    feature: str = Field(description="name of the feature; of a cluster, its features joined by ' + '")
    group: str = Field(description="group of the feature; of a cluster, of its first one")
    features: list[str] = Field(description="features that were exchanged together")
    loss_rise: Finite = Field(description="in fractions of the price")
    low: Finite = Field(description="lower end of the 95 % interval of the rise, over sessions")
    high: Finite = Field(description="upper end of it")
    mean_absolute_shapley: Finite | None = Field(
        ge=0,
        description="mean absolute contribution to the median over a sample of the windows; null for a cluster, and "
        "for a model without typical windows",
    )
    rank: int = Field(ge=1, description="by the rise, among the features or among the clusters")
    rank_last_month: int | None = Field(description="in the newest measure that is four weeks older, or more")


class ImportanceAnswer(Answer):
    """What was measured last by an instant."""

    model: str
    horizon_sessions: int | None = Field(default=None, exclude_if=is_absent)
    horizon_minutes: int | None = Field(default=None, exclude_if=is_absent)
    regime: str = Field(description="regime of the market, or all")
    as_of: datetime = Field(description="instant of the answer: nothing in it became known later")
    measured_at: datetime = Field(description="market time of the measure")
    first_session: datetime
    last_session: datetime = Field(description="newest matured session of the measure")
    sessions: int
    forecasts: int
    repeats: int = Field(description="random exchanges of each feature that were averaged")
    loss: Finite = Field(description="mean pinball loss of the forecasts as they are")
    model_digest: str
    table_versions: dict[str, int]
    features: list[MeasuredFeature] = Field(description="the largest rise first")
    clusters: list[MeasuredFeature] = Field(description="features with a rank correlation above 0.8, together")
    meaning: str = MEANING
