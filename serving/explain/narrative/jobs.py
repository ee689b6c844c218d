"""Jobs that write explanations: one thread per process, a bounded queue, records that a restart does not lose.

A job says what it is doing as it goes: facts, passages, the template's text, and a language model's text where one is
configured. The template's text is the first answer; the model's replaces it once it is done, and if it fails the
template's stays, with the reason.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lake.disk import file_lock
from lake.errors import FailedJobError, OverloadedError, QuantlakeError, UnknownNameError, WriterError
from serving import api
from serving.explain.narrative.asked import asked_forecast
from serving.explain.narrative.facts import Drivers, FactSheet, NarrativeInputs, facts_of
from serving.explain.narrative.inputs import inputs_of, stored_forecast
from serving.explain.narrative.logged import narrative_row
from serving.explain.narrative.model_writer import ModelWriter
from serving.explain.narrative.narrate import Narrative, dropped_of, narrate, sentence_of, with_uncertainty
from serving.explain.narrative.records import JobQuestion, JobRecord, JobRecords
from serving.explain.narrative.retrieve import Passage, Retriever
from serving.explain.narrative.write import template_sentences
from serving.explanation_log import log_explanation
from serving.forecast_log import LogReader
from serving.history import KnownTables
from serving.monitoring import metrics
from serving.processes.pidfile import Process

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

logger = logging.getLogger("quantlake.serving")

WAITING = 16
"""Jobs of one process that may wait; more are refused."""
REUSE_SECONDS = 300.0
"""How long the same question gets the same job."""
FIRST_TEXT_SECONDS = 1.0
END_SECONDS = 2.0
NOTHING_PASSED = "the language model wrote {count} sentences, and none passed the check"
STOPPED = "the service was stopped before it was done"
CANCELLED = "it was cancelled"

DriversOf = Callable[[str], Drivers | None]


def no_drivers(_: str) -> Drivers | None:
    """Return no drivers: a forecast explained without contributions of features."""
    return None


class ExplanationJobs:
    """Takes questions, and answers them one after the other in a thread of its own.

    Parameters
    ----------
    configured, lake
        Home, tables, and the address of a language model if there is one.
    drivers_of
        Contributions of features to the median of a forecast, by its id; None where they cannot be computed.
    waiting
        Jobs that may wait.
    tables, logged
        Tables as they were known, and the forecast log, where somebody else reads them too; of the home by default.

    Raises
    ------
    ConfigError
        If a language model is configured that cannot be asked, see `ModelWriter.of`.
    """

    def __init__(
        self,
        configured: "Settings",
        lake: "Lake",
        drivers_of: DriversOf = no_drivers,
        *,
        waiting: int = WAITING,
        tables: KnownTables | None = None,
        logged: LogReader | None = None,
    ) -> None:
        self._configured, self._lake, self._drivers_of = configured, lake, drivers_of
        self._tables = tables or KnownTables(lake)
        self._logged = logged or LogReader(configured)
        self._model = ModelWriter.of(configured)
        self._retriever = Retriever(lake, configured)
        self._records = JobRecords(configured)
        self._queue: queue.Queue[JobRecord | None] = queue.Queue(waiting)
        self._thread: threading.Thread | None = None
        self._process = Process.of(os.getpid())

    def ask(self, question: JobQuestion) -> tuple[JobRecord, bool]:
        """Return the job of a question, and whether an earlier question made it.

        Raises
        ------
        UnknownNameError
            If there is no such forecast of the symbol.
        OverloadedError
            If as many jobs wait as may.
        """
        forecast = asked_forecast(self._lake, self._logged, question.prediction_id)
        if forecast.symbol != question.symbol:
            raise UnknownNameError("prediction", question.prediction_id, [], remedy=f"It is none of {question.symbol}.")
        with file_lock(self._records.lock, "the record of explanations"):
            earlier = self._reusable(question)
            if earlier is not None:
                metrics.EXPLANATION_JOBS.labels("reused").inc()
                return earlier, True
            record = JobRecord(
                job_id=question.new_job_id(),
                question=question,
                known_time=forecast.known_time,
                worker_pid=self._process.pid,
                worker_started=self._process.started,
                created_at=time.time(),
            )
            self._put(record)
        return record, False

    def find(self, job_id: str) -> JobRecord:
        """Return a job that is under way or completed.

        Raises
        ------
        UnknownNameError
            If there is none, or it was forgotten.
        FailedJobError
            If it failed or was lost; the message says why.
        """
        record = self._records.read(job_id) if job_id.isalnum() else None
        if record is None:
            raise UnknownNameError("explanation", job_id[:64], [], remedy="Jobs can be looked up for an hour.")
        return _unless_failed(record)

    def cancel(self, job_id: str) -> JobRecord:
        """Let a job that is under way fail as cancelled, and return it; one that is completed stays completed.

        What the job does at that moment, e.g. the question to a language model, is done to its end and thrown away.

        Raises
        ------
        UnknownNameError, FailedJobError
            As `find`.
        """
        with file_lock(self._records.lock, "the record of explanations"):
            record = self.find(job_id)
            if record.status == "processing":
                record = record.failed(CANCELLED)
                self._records.write(record)
                metrics.EXPLANATION_JOBS.labels("cancelled").inc()
        return record

    def newest(self, symbol: str) -> JobRecord:
        """Return the job of a symbol that was asked for last, one that did not fail before one that did.

        Raises
        ------
        UnknownNameError, FailedJobError
            As `find`.
        """
        found = [record for record in self._records.newest_first() if record.question.symbol == symbol]
        if not found:
            raise UnknownNameError("explanation", symbol, [], remedy="Ask for one with POST.")
        return _unless_failed(next((record for record in found if record.status != "failed"), found[0]))

    def events(self, job_id: str) -> tuple[api.ExplanationEvent, ...] | None:
        """Return the events of a job so far, a failed one's included; None where there is no such job any more."""
        record = self._records.read(job_id) if job_id.isalnum() else None
        return None if record is None else record.events

    def close(self) -> None:
        """End the thread; jobs that wait or are under way fail, and say why."""
        waiting = self._drained()
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(END_SECONDS)
        for record in waiting:
            self._records.write(record.failed(STOPPED))

    def _reusable(self, question: JobQuestion) -> JobRecord | None:
        since = time.time() - REUSE_SECONDS
        made = self._records.newest_first(question)
        return next(
            (
                each
                for each in made
                if each.question == question and each.status != "failed" and each.created_at > since
            ),
            None,
        )

    def _put(self, record: JobRecord) -> None:
        """Queue a job; its record is written first, so that no worker can finish one that is not there."""
        if self._queue.full():
            metrics.EXPLANATION_JOBS.labels("refused").inc()
            raise OverloadedError(
                f"{self._queue.qsize()} explanations wait to be written, as many as may. Ask again a little later."
            )
        self._records.write(record)
        self._queue.put_nowait(record)
        metrics.EXPLANATION_JOBS.labels("accepted").inc()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="explanations", daemon=True)
            self._thread.start()

    def _drained(self) -> list[JobRecord]:
        found = list[JobRecord]()
        while True:
            try:
                record = self._queue.get_nowait()
            except queue.Empty:
                return found
            if record is not None:
                found.append(record)

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            job = _Job(record, self._records)
            try:
                self._work(job)
                job.complete()
            except FailedJobError as error:  # its record says so already
                logger.info("An explanation was ended before it was done: %s", error)
            except QuantlakeError as error:
                job.fail(str(error))
            except Exception:
                logger.exception("an explanation failed")
                job.fail("something happened that nobody has foreseen; the service's log has it")
            self._records.forget_old()

    def _work(self, job: "_Job") -> None:
        question = job.record.question
        job.step("facts", 0.1)
        case = stored_forecast(self._lake, self._configured, question.prediction_id)
        given = inputs_of(self._tables, case)
        job.step("contributions", 0.2)
        given = given.with_drivers(self._drivers_of(question.prediction_id))
        facts, passages, search = facts_of(given), tuple[Passage, ...](), ""
        if question.depth != "fast":
            job.step("passages", 0.3)
            found = self._retriever.find(_question(facts), given.symbol, given.known_time)
            passages, search = found.passages, found.search
        job.step("template", 0.5)
        written = narrate(template_sentences, "template", facts, passages, search)
        job.tell(written, given)
        if self._model is not None and question.depth != "fast":
            job.step("model", 0.6)
            self._let_model_write(job, given, written)
        log_explanation(self._configured, narrative_row(job.record, case.row, self._configured.clock.now()))

    def _let_model_write(self, job: "_Job", given: NarrativeInputs, template: Narrative) -> None:
        """Put the language model's text in the place of the template's, if it writes one that passes the check."""
        assert self._model is not None
        try:
            written = narrate(self._model, "model", template.facts, template.passages, template.search)
        except WriterError as error:
            job.keep(template, given, str(error))
            return
        if written.checked.passed:
            job.tell(with_uncertainty(written, template), given)
        else:
            job.keep(template, given, NOTHING_PASSED.format(count=len(written.checked.dropped)))


class _Job:
    """A job under way: every step, sentence and result goes into its record at once."""

    def __init__(self, record: JobRecord, records: JobRecords) -> None:
        self.record, self._records = record, records

    def step(self, name: str, progress: float) -> None:
        """Begin a step."""
        self._update(api.ExplanationEvent(event="step", step=name), step=name, progress=progress)

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
        self._update(*events, explanation=written.to_answer(given.confidence))

    def keep(self, written: Narrative, given: NarrativeInputs, problem: str) -> None:
        """Keep an earlier text, with the reason why no other took its place."""
        self._update(explanation=written.to_answer(given.confidence, writer_problem=problem))

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
                _unless_failed(kept)
            self.record = self.record.model_copy(update={**changes, "events": (*self.record.events, *events)})
            self._records.write(self.record)


def _unless_failed(record: JobRecord) -> JobRecord:
    if record.status == "failed":
        raise FailedJobError(f"The explanation {record.job_id} failed: {record.reason}. Ask for it again.")
    return record


def _question(facts: FactSheet) -> list[str]:
    """What passages should be about: the symbol, its drivers, models, regime and strategy."""
    drivers = [fact.subject for fact in facts.of("contribution") if fact.sign is not None]
    models = [fact.subject for fact in facts.of("model")]
    named = [
        fact.printed
        for fact in (*facts.of("forecast", "symbol"), *facts.of("regime"), *facts.of("strategy", "strategy"))
    ]
    return [*drivers, *models, *named]
