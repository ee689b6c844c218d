"""Records of jobs: one small file each in the home, so that every worker knows the jobs of all, and those of before."""

import hashlib
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from lake.disk import write_private
from serving import api
from serving.processes.pidfile import Process

if TYPE_CHECKING:
    from lake.settings import Settings

FOLDER = "explanations"
KEPT_SECONDS = 3_600.0
"""How long a job can be looked up."""
KEY_DIGITS = 16
LOST = "the process that worked on it ended before it was done"


class JobQuestion(BaseModel):
    """What a job is to explain; equal questions may share a job.

    Parameters
    ----------
    symbol, prediction_id, depth
        As they were asked; the forecast is named, never "the newest".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    prediction_id: str
    depth: api.WrittenDepth

    @property
    def key(self) -> str:
        """What the ids of all its jobs begin with, so that they are found without reading the jobs of others."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:KEY_DIGITS]

    def new_job_id(self) -> str:
        """Return the id of one more job."""
        return self.key + uuid.uuid4().hex[KEY_DIGITS:]


class JobRecord(BaseModel):
    """One job as it stands.

    Parameters
    ----------
    worker_pid, worker_started
        Process that works on it, see `serving.processes.pidfile.Process`.
    created_at, finished_at
        Wall-clock time, in seconds since 1970; `finished_at` is 0 while it is under way.
    known_time
        Market time at which the forecast was made.
    reason
        Why it failed.
    events
        Everything that came of it so far, in order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job_id: str
    question: JobQuestion
    known_time: datetime
    worker_pid: int
    worker_started: float
    created_at: float
    finished_at: float = 0.0
    status: Literal["processing", "completed", "failed"] = "processing"
    step: str = "waiting"
    progress: float = 0.0
    reason: str = ""
    events: tuple[api.ExplanationEvent, ...] = ()
    explanation: api.WrittenExplanation | None = None

    @property
    def worker(self) -> Process:
        """The process that works on it."""
        return Process(self.worker_pid, self.worker_started)

    @property
    def seconds(self) -> float:
        """From the question to its end, or to now."""
        return max(0.0, (self.finished_at or time.time()) - self.created_at)

    def as_it_is(self) -> "JobRecord":
        """Return the record; failed where its process has ended without finishing it."""
        if self.status != "processing" or self.worker.is_running:
            return self
        return self.failed(LOST)

    def failed(self, reason: str) -> "JobRecord":
        """Return the record of the job with its failure."""
        event = api.ExplanationEvent(event="failed", reason=reason)
        said = {"status": "failed", "reason": reason, "finished_at": time.time(), "events": (*self.events, event)}
        return self.model_copy(update=said)


class JobRecords:
    """The records of a home. They hold no name of who asked.

    Parameters
    ----------
    configured
        Say in which home.
    """

    def __init__(self, configured: "Settings") -> None:
        self.folder = configured.home / FOLDER

    @property
    def lock(self) -> Path:
        """File to lock while a job is found or made."""
        return self.folder / "jobs.lock"

    def write(self, record: JobRecord) -> None:
        """Replace the record of a job."""
        write_private(self._path(record.job_id), record.model_dump_json())

    def read(self, job_id: str) -> JobRecord | None:
        """Return a job; None where there is none, or it was forgotten."""
        with suppress(OSError, ValidationError):  # a file of another version of this code is no job either
            return JobRecord.model_validate_json(self._path(job_id).read_bytes()).as_it_is()
        return None

    def newest_first(self, question: JobQuestion | None = None) -> Iterator[JobRecord]:
        """Yield the jobs of a question that are kept, or every job, those made last first."""
        named = "" if question is None else question.key
        found = filter(None, (self.read(path.stem) for path in self.folder.glob(f"{named}*.json")))
        yield from sorted(found, key=lambda record: record.created_at, reverse=True)

    def forget_old(self) -> None:
        """Remove jobs past their time."""
        oldest = time.time() - KEPT_SECONDS
        for path in self.folder.glob("*.json"):
            with suppress(FileNotFoundError):  # another worker does the same
                if path.stat().st_mtime < oldest:
                    path.unlink()

    def _path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.json"
