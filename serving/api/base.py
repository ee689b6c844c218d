"""Base of every type of the endpoint: permitted names, and the disclaimer of every answer."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

BATCH_SYMBOLS = 5_000
SYMBOL_LETTERS = 32
DISCLAIMER = "A forecast is an estimate of a model and no advice to buy or sell anything."

Finite = Annotated[float, Field(allow_inf_nan=False)]
Price = Annotated[float, Field(allow_inf_nan=False, gt=0)]
PriceBasis = Literal["as_traded", "split_adjusted", "adjusted_close_only"]
PRICE_BASIS: Any = Field(
    default=None,
    description="as_traded: prices are those of the market on that day; otherwise what the source did to its prices, "
    "for which no price is told; null in forecasts from before this was said, whose prices are on a basis of the "
    "source",
)
CURRENCY: Any = Field(default=None, description="ISO 4217 code of the prices; null where the market does not say")
TARGET_SESSION: Any = Field(
    default=None, description="session of the market's calendar in which the horizon ends; null beyond the calendar"
)
Symbol = Annotated[
    str, Field(min_length=1, max_length=SYMBOL_LETTERS, description="instrument, as in /symbols", examples=["AAPL"])
]
Horizon = Annotated[int, Field(ge=1, le=252, description="sessions ahead, one that the models forecast", examples=[1])]


class Request(BaseModel):
    """What is asked: strict, so that nothing is guessed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(Part):
    """A public answer."""

    disclaimer: str = Field(default=DISCLAIMER, description="forecasts are no advice")
