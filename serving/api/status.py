"""Types of the service's state: models in service, symbols, health."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from serving.api.base import Answer, Part
from serving.api.operators import ChallengerStatus, RefusalStatus


class ModelStatus(Part):
    """One model in service."""

    name: str
    version: str
    digest: str
    signature: str = Field(description="SHA-256 of its signature")
    horizons: list[int] = Field(description="as the tables count them; of bars of minutes n sessions are 1,000 n")
    looks_ahead: list[str] = Field(
        default_factory=list, description="the same for a reader", examples=[["60 minutes", "1 session"]]
    )
    quantiles: list[float]
    features: list[str]
    sessions: int
    table_versions: dict[str, int]
    train_until: datetime
    parity_windows: int
    parity_max_absolute_difference: float
    device: str


class StatusAnswer(Answer):
    """The models in service and the market they stand in."""

    market_now: datetime
    models: list[ModelStatus]
    problem: str | None = Field(description="why the newest promotion is not in service, if it is not")
    challengers: list[ChallengerStatus] = Field(description="versions on trial")
    refused: list[RefusalStatus] = Field(description="versions that were asked for and failed a check")


class Instrument(Part):
    """One symbol that can be asked for."""

    symbol: str
    name: str | None
    has_model_input: bool = Field(description="whether it can be forecast now")
    other_names: list[str] = Field(
        default_factory=list, description="names that it had, or has elsewhere; each can be asked for too"
    )


class SymbolsAnswer(Answer):
    """Every symbol that can be asked for."""

    symbols: list[Instrument]


class Health(Part):
    """Whether the service lives, or is ready."""

    status: Literal["alive", "ready"]
