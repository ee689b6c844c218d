"""Base of every type of the endpoint: permitted names, and the disclaimer of every answer."""

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from lake.names import AskedSymbol

BATCH_SYMBOLS = 5_000
SYMBOL_LETTERS = 32
DISCLAIMER = "A forecast is an estimate of a model and no advice to buy or sell anything."

Finite = Annotated[float, Field(allow_inf_nan=False)]
Price = Annotated[float, Field(allow_inf_nan=False, gt=0)]
PriceBasis = Literal["as_traded", "split_adjusted", "adjusted_close_only", "fully_adjusted"]
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


def is_absent(value: int | None) -> bool:
    """A horizon is in one unit; the other one is no part of an answer."""
    return value is None


HORIZON_SESSIONS: Any = Field(default=None, exclude_if=is_absent, description="how far ahead, where it is in sessions")
HORIZON_MINUTES: Any = Field(
    default=None, exclude_if=is_absent, description="how far ahead, in minutes of trading, where it is in minutes"
)
Symbol = Annotated[
    str, Field(min_length=1, max_length=SYMBOL_LETTERS, description="instrument, as in /symbols", examples=["AAPL"])
]
Horizon = Annotated[int, Field(ge=1, le=252, description="sessions ahead, one that the models forecast", examples=[1])]
Minutes = Annotated[
    int, Field(ge=1, le=15_120, description="minutes of trading ahead, one that a market of such bars forecasts")
]


class Request(BaseModel):
    """What is asked: strict, so that nothing is guessed."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Part(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Answer(Part):
    """A public answer."""

    disclaimer: str = Field(default=DISCLAIMER, description="forecasts are no advice")


class AskedName(Part):
    """The name that was asked for, where the market calls the instrument by another."""

    asked_symbol: str = Field(description="as it was asked", examples=["FB"])
    changed_on: date = Field(description="first day under the other name")
    sentence: str = Field(description="the same for a reader")

    @classmethod
    def of(cls, asked: "AskedSymbol") -> Self | None:
        """Return what is told of an asked name; None where it is what the market calls the instrument."""
        if asked.changed_on is None:
            return None
        return cls(asked_symbol=asked.asked, changed_on=asked.changed_on, sentence=asked.sentence)


class SymbolAnswer(Answer):
    """An answer about one symbol."""

    asked: AskedName | None = Field(
        default=None,
        exclude_if=lambda asked: asked is None,
        description="only where a former or later name of the symbol was asked for",
    )
