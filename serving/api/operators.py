"""Types of model operations: requests of an operator and their answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from serving.api.base import Finite, Part, Request

ModelName = Annotated[str, Field(min_length=1, max_length=64, description="as in /models/status", examples=["lstm"])]
ModelVersion = Annotated[
    str, Field(min_length=1, max_length=32, description="registered version whose files are here", examples=["4"])
]


class TrialRequest(Request):
    """Put a version on trial."""

    model: ModelName
    version: ModelVersion
    share: float = Field(gt=0, le=1, allow_inf_nan=False, description="share of the symbols", examples=[0.2])


class RollbackRequest(Request):
    """Take the last move of a model back."""

    model: ModelName


class BenchmarkRequest(Request):
    """Time the loaded engines."""

    seconds: float = Field(default=2.0, gt=0, le=10, allow_inf_nan=False, description="how long, all engines together")
    windows: int = Field(default=1, ge=1, le=128, description="real windows in each call")


class MoveAnswer(Part):
    """What was moved; every worker has taken it up within a second."""

    what: str = Field(description="as the audit trail names it")
    model: str
    alias: str = Field(description="champion, shadow or canary")
    version: str = Field(description="version the alias points at now; after the end of a trial, the champion's")
    digest: str
    previous: str | None = Field(description="version it pointed at before")


class EngineTiming(Part):
    """How fast one engine is here and now."""

    model: str
    version: str
    digest: str
    role: Literal["champion", "shadow", "canary"]
    device: str
    windows: int = Field(description="real windows in each call")
    calls: int
    median_ms: Finite
    p95_ms: Finite
    windows_per_second: Finite


class BenchmarkAnswer(Part):
    """Timings of every engine in service or on trial, while requests go on."""

    engines: list[EngineTiming]


class ChallengerStatus(Part):
    """One version on trial."""

    model: str
    version: str
    digest: str
    mode: Literal["shadow", "canary"]
    share: float = Field(description="share of the symbols")
    since: datetime


class RefusalStatus(Part):
    """One version that was asked for and is not in service."""

    model: str
    version: str
    reason: str
    since: datetime
    refused_by: str = Field(description="service, or registry: the process that follows the registry's alias")
