"""Types of past accuracy: matured forecasts of a symbol beside what came, and how often they were right."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from serving.api.base import Finite, Part
from serving.api.history import AheadAnswer, GroupRecord, Share

RecordKind = Literal["answered", "in_replay", "walk_forward"]


class AccuracyPoint(Part):
    """One forecast beside the return that came."""

    event_time: datetime = Field(description="close of the last session the forecast knew")
    known_time: datetime = Field(description="when the outcome, and all that the forecast was made of, was known")
    regime: str
    p10: Finite
    p50: Finite
    p90: Finite
    realised_return: Finite = Field(description="return over the horizon, as a fraction")
    is_inside: bool = Field(description="whether it fell within p10..p90")
    is_direction_hit: bool | None = Field(description="whether p50 had its sign; null for a forecast of zero")
    pinball_loss: Finite = Field(description="mean over the three quantiles")
    naive_loss: Finite | None = Field(description="of the naive forecast of the same close; null where there is none")


class HitRecord(Part):
    """How often the median had the sign of the return."""

    outcomes: int = Field(ge=0, description="closes with a matured forecast whose median is not zero")
    independent: Finite = Field(ge=0, description="closes that do not overlap; the interval rests on them")
    share: Share | None = Field(description="share with the right sign; null below the least number")
    low: Share | None = Field(description="lower end of its 90 % interval, by Wilson's score")
    high: Share | None = Field(description="upper end")
    is_enough: bool = Field(description="whether there are at least 30 outcomes")


class AccuracyGroup(GroupRecord):
    """Band, skill and hits of one group of matured forecasts."""

    hits: HitRecord


class AccuracyAnswer(AheadAnswer):
    """What came of the forecasts of one symbol over one horizon: one for each close, and their record by group."""

    model: str | None = Field(description="model that was asked for; null for the forecasts that were answered")
    record: RecordKind = Field(
        description="what the points are: forecasts that were answered; where fewer than 30 of them have an outcome, "
        "what the blend would have answered at the closes of the walk-forward (`in_replay`), if there are 30 of these; "
        "of a model, its `walk_forward`"
    )
    overall: AccuracyGroup
    regimes: list[AccuracyGroup]
    quarters: list[AccuracyGroup] = Field(description="by quarter of the close in UTC, e.g. 2012 Q4, oldest first")
    points: list[AccuracyPoint]
