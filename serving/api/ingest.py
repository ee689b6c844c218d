"""Types of the routes that have a source asked now."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from serving.api.base import Part


class IngestAnswer(Part):
    """A request to ask a source; the orchestrator picks it up and starts a run under its id."""

    id: str = Field(description="the same for all requests of a source until one is picked up")
    source: str
    asked_at: datetime
    state: Literal["pending", "started"] = Field(description="started: its run has been asked for")


class SourceStatus(Part):
    """The newest delivery of one source."""

    source: str
    received_at: datetime | None = Field(description="when it was asked last, by the wall clock; null: never")
    since: datetime | None = Field(description="begin of the span asked for, excluded; null: from its beginning")
    until: datetime | None = Field(description="end of that span")
    outcome: str | None = Field(description="answered, silent, or the kind of failure, as in the table `deliveries`")
    reason: str | None = Field(description="sentence of the first failure")
    subjects: int = Field(description="symbols that were asked for; 1 where a source is asked for all it has")
    failed: int = Field(description="of these, not answered")
    rows: int = Field(description="rows that came")
    stored: int = Field(description="of these, rows that said something new")
    refused: int = Field(description="of the stored rows, those in quarantine")


class IngestStatusAnswer(Part):
    """Requests that wait, and the newest delivery of each source of the market."""

    requests: list[IngestAnswer]
    sources: list[SourceStatus]
