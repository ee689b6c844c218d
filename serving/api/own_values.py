"""Type of a forecast of the caller's own values of features, beside the forecast of the stored ones."""

from typing import Literal

from pydantic import Field

from serving.api.base import Finite, Part
from serving.api.explanations import ForecastDelta, ForecastRead, MovedFeature

NOT_STORED = (
    "Computed from the values of the request in the last session, all other values held as they were. It is not "
    "stored: it has no id, no outcome and no receipt, and nothing is learned from it."
)


class OwnValuesForecast(Part):
    """What the same models, weights and correction forecast from the caller's values."""

    kind: Literal["what_if"] = Field(default="what_if", description="no kind of a stored forecast")
    forecast: ForecastRead
    delta: ForecastDelta = Field(description="this forecast less the one of the stored values")
    moved: list[MovedFeature] = Field(description="each feature with its stored and its new value")
    is_inside_range: bool = Field(description="whether every new value lies within 1-99 % of training")
    seconds: Finite
    note: str = NOT_STORED
