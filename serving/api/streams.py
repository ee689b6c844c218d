"""Types of the WebSocket: commands of a client, and messages of the service."""

from typing import Annotated, Literal

from pydantic import Field

from serving.api.base import BATCH_SYMBOLS, Answer, Part, Request, Symbol
from serving.api.forecasts import PredictAnswer
from serving.api.problems import Problem


class Subscription(Request):
    """Take up or give up symbols."""

    action: Literal["subscribe", "unsubscribe"]
    symbols: list[Symbol] = Field(min_length=1, max_length=BATCH_SYMBOLS)


class Ping(Request):
    """Ask for a sign of life."""

    action: Literal["ping"]


Command = Annotated[Subscription | Ping, Field(discriminator="action")]


class PredictionUpdate(Part):
    """A forecast was stored."""

    event: Literal["prediction_update"] = "prediction_update"
    prediction: PredictAnswer


class Acknowledged(Answer):
    """A command was carried out."""

    event: Literal["acknowledged"] = "acknowledged"
    action: Literal["subscribe", "unsubscribe", "ping"]
    symbols: int = Field(ge=0, description="how many symbols this connection is subscribed to now")


class Refused(Part):
    """A command was not carried out; the connection stays."""

    event: Literal["error"] = "error"
    problem: Problem
