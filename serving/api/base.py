"""Base of every type of the endpoint: permitted names, and the disclaimer of every answer."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

BATCH_SYMBOLS = 5_000
SYMBOL_LETTERS = 32
DISCLAIMER = "A forecast is an estimate of a model and no advice to buy or sell anything."

Finite = Annotated[float, Field(allow_inf_nan=False)]
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
