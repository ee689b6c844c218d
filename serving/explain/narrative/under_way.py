"""A job under way: what it writes into its record as it goes."""

import logging
import queue
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lake.disk import file_lock
from lake.errors import FailedJobError, QuantlakeError
from serving import api
from serving.explain.narrative.facts import NarrativeInputs
from serving.explain.narrative.narrate import Narrative, dropped_of, sentence_of
from serving.explain.narrative.records import JobRecord, JobRecords
from serving.monitoring import metrics

logger = logging.getLogger("quantlake.serving")

Made = TypeVar("Made")


class JobUnderWay:
    """A job under way: every step, sentence and result goes into its record at once."""

    def __init__(self, record: JobRecord, records: JobRecords) -> None:
        self.record, self._records = record, records
        self._left_out: list[api.PartLeftOut] = []

    def attempt(self, work: "Callable[[], Made]") -> "Made | None":
        """Return what a function makes of the job; None where that fails, and then the job has failed."""
        try:
            return work()
        except FailedJobError as error:  # its record says so already
            logger.info("An explanation was ended before it was done: %s", error)
        except QuantlakeError as error:
            self.fail(str(error))
        except Exception:
            logger.exception("an explanation failed")
            self.fail("something happened that nobody has foreseen; the service's log has it")
        return None

    def step(self, name: str, progress: float) -> None:
        """Begin a step."""
        self._update(api.ExplanationEvent(event="step", step=name), step=name, progress=progress)

    def leave_out(self, part: str, reason: str) -> None:
        """Tell of a part that could not be computed; every text from now on says so."""
        self._left_out.append(api.PartLeftOut(part=part, reason=reason))
        self._update(api.ExplanationEvent(event="left_out", step=part, reason=reason))

    def tell(self, written: Narrative, given: NarrativeInputs) -> None:
        """Tell of sentences that passed and of those that were dropped, and take the text as the job's."""
        events = [
            api.ExplanationEvent(event="sentence", writer=written.writer, sentence=sentence_of(draft))
            for draft in written.checked.passed
        ]
        events += [
            api.ExplanationEvent(event="dropped", writer=written.writer, dropped=dropped_of(dropped))
            for dropped in written.checked.dropped
        ]
        self._update(*events, explanation=written.to_answer(given.confidence, left_out=self._left_out))

    def keep(self, written: Narrative, given: NarrativeInputs, problem: str) -> None:
        """Keep an earlier text, with the reason why no other took its place."""
        self._update(explanation=written.to_answer(given.confidence, writer_problem=problem, left_out=self._left_out))

    def complete(self) -> None:
        """End the job."""
        done = {"status": "completed", "step": "completed", "progress": 1.0, "finished_at": time.time()}
        self._update(api.ExplanationEvent(event="completed"), **done)
        metrics.EXPLANATION_JOBS.labels("completed").inc()

    def fail(self, reason: str) -> None:
        """End the job without an answer."""
        self.record = self.record.failed(reason)
        self._records.write(self.record)
        metrics.EXPLANATION_JOBS.labels("failed").inc()

    def _update(self, *events: api.ExplanationEvent, **changes: Any) -> None:
        """Write what came of the job.

        Raises
        ------
        FailedJobError
            If it was cancelled meanwhile; then nothing is written.
        """
        with file_lock(self._records.lock, "the record of explanations"):
            kept = self._records.read(self.record.job_id)
            if kept is not None:
                unless_failed(kept)
            self.record = self.record.model_copy(update={**changes, "events": (*self.record.events, *events)})
            self._records.write(self.record)


@dataclass(frozen=True)
class DeepWork:
    """What is left to do of a deep job once its first text is there.

    Parameters
    ----------
    given, written
        What is known of the forecast, and the first text.
    row
        Row of `forecasts`.
    """

    job: JobUnderWay
    given: NarrativeInputs
    written: Narrative
    row: Mapping[str, Any]


def drained(waiting: "queue.Queue[Made | None] | queue.SimpleQueue[Made | None]") -> list[Made]:
    """Take everything out of a queue, and return it."""
    found = list[Made]()
    while True:
        try:
            each = waiting.get_nowait()
        except queue.Empty:
            return found
        if each is not None:
            found.append(each)


def unless_failed(record: JobRecord) -> JobRecord:
    """Return a record.

    Raises
    ------
    FailedJobError
        If its job failed.
    """
    if record.status == "failed":
        raise FailedJobError(f"The explanation {record.job_id} failed: {record.reason}. Ask for it again.")
    return record
