"""Jobs that write explanations: one thread per process, a bounded queue, records that a restart does not lose.

A job says what it is doing as it goes: facts, passages, the template's text, what a deep explanation adds, and a
language model's text where one is configured. The template's text is the first answer; the deep one replaces it, and
then the model's. If a model fails the template's stays, with the reason; a deep part that fails is left out, with its.
"""

import logging
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from lake.disk import file_lock
from lake.errors import NotReadyError, OverloadedError, QuantlakeError, UnknownNameError, WriterError
from serving import api
from serving.explain.narrative.asked import asked_forecast
from serving.explain.narrative.deep import DEEP_PARTS, DeepFindings, DeepPart
from serving.explain.narrative.drivers import Drivers
from serving.explain.narrative.facts import FactSheet, NarrativeInputs, facts_of
from serving.explain.narrative.inputs import inputs_of, stored_forecast
from serving.explain.narrative.logged import narrative_row
from serving.explain.narrative.model_writer import ModelWriter
from serving.explain.narrative.narrate import Narrative, narrate, with_uncertainty
from serving.explain.narrative.records import JobQuestion, JobRecord, JobRecords
from serving.explain.narrative.retrieve import Passage, Retriever
from serving.explain.narrative.under_way import DeepWork, JobUnderWay, drained, unless_failed
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
DEEP_WAITING = 4
"""Deep ones that may wait or be under way, which take up to a minute each, one after the other."""
REUSE_SECONDS = 300.0
"""How long the same question gets the same job."""
FIRST_TEXT_SECONDS = 1.0
END_SECONDS = 2.0
NOTHING_PASSED = "the language model wrote {count} sentences, and none passed the check"
STOPPED = "the service was stopped before it was done"
CANCELLED = "it was cancelled"

DriversOf = Callable[[str], Drivers | None]
DeepOf = Callable[[str, DeepPart], DeepFindings]


def no_drivers(_: str) -> Drivers | None:
    """Return no drivers: a forecast explained without contributions of features."""
    return None


def nothing_deep(prediction_id: str, _: DeepPart) -> DeepFindings:
    """Refuse every part of a deep explanation: nothing computes them.

    Raises
    ------
    NotReadyError
        Always.
    """
    raise NotReadyError(
        f"Nothing computes the deep parts of an explanation of forecast {prediction_id} here. Ask the service."
    )


class ExplanationJobs:
    """Takes questions, and answers them one after the other in a thread of its own.

    What a deep explanation adds is computed in a second thread, so that it holds up no other first text.

    Parameters
    ----------
    configured, lake
        Home, tables, and the address of a language model if there is one.
    drivers_of
        Contributions of features to the median of a forecast, by its id; None where they cannot be computed.
    deep_of
        One part of a deep explanation, by the id of its forecast; an error where it cannot be computed.
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
        deep_of: DeepOf = nothing_deep,
        *,
        waiting: int = WAITING,
        tables: KnownTables | None = None,
        logged: LogReader | None = None,
    ) -> None:
        self._configured, self._lake, self._drivers_of = configured, lake, drivers_of
        self._deep_of = deep_of
        self._tables = tables or KnownTables(lake)
        self._logged = logged or LogReader(configured)
        self._model = ModelWriter.of(configured)
        self._retriever = Retriever(lake, configured)
        self._records = JobRecords(configured)
        self._queue: queue.Queue[JobRecord | None] = queue.Queue(waiting)
        self._deep_queue: queue.SimpleQueue[DeepWork | None] = queue.SimpleQueue()
        self._deep_ids = set[str]()
        self._threads = list[threading.Thread]()
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
        return unless_failed(record)

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
        return unless_failed(next((record for record in found if record.status != "failed"), found[0]))

    def events(self, job_id: str) -> tuple[api.ExplanationEvent, ...] | None:
        """Return the events of a job so far, a failed one's included; None where there is no such job any more."""
        record = self._records.read(job_id) if job_id.isalnum() else None
        return None if record is None else record.events

    def close(self) -> None:
        """End the threads; jobs that wait or are under way fail, and say why."""
        waiting = [*drained(self._queue), *(work.job.record for work in drained(self._deep_queue))]
        if self._threads:
            self._queue.put(None)
            self._deep_queue.put(None)
        for thread in self._threads:
            thread.join(END_SECONDS)
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
        is_deep = record.question.depth == "deep"
        if self._queue.full() or (is_deep and len(self._deep_ids) >= DEEP_WAITING):
            metrics.EXPLANATION_JOBS.labels("refused").inc()
            waiting = len(self._deep_ids) if is_deep else self._queue.qsize()
            raise OverloadedError(
                f"{waiting} explanations wait to be written, as many as may. Ask again a little later."
            )
        if is_deep:
            self._deep_ids.add(record.job_id)
        self._records.write(record)
        self._queue.put_nowait(record)
        metrics.EXPLANATION_JOBS.labels("accepted").inc()
        if not self._threads:
            self._threads = [
                threading.Thread(target=run, name=name, daemon=True)
                for name, run in (("explanations", self._run), ("deep explanations", self._run_deep))
            ]
            for thread in self._threads:
                thread.start()

    def _run(self) -> None:
        while (record := self._queue.get()) is not None:
            job = JobUnderWay(record, self._records)
            deep = job.attempt(partial(self._work, job))
            if deep is None:
                self._deep_ids.discard(record.job_id)
            else:
                self._deep_queue.put(deep)
            self._records.forget_old()

    def _run_deep(self) -> None:
        while (work := self._deep_queue.get()) is not None:
            work.job.attempt(partial(self._deepen, work))
            self._deep_ids.discard(work.job.record.job_id)

    def _work(self, job: JobUnderWay) -> DeepWork | None:
        """Write the first text, and end the job unless it is a deep one: then return what is left of it to do."""
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
        job.step("template", 0.4)
        written = narrate(template_sentences, "template", facts, passages, search)
        job.tell(written, given)
        if question.depth == "deep":
            return DeepWork(job, given, written, case.row)
        self._finish(job, given, written, case.row)
        return None

    def _deepen(self, work: DeepWork) -> None:
        """Compute the parts of a deep explanation one after the other; one that fails is left out, with its reason."""
        job, found, prediction_id = work.job, DeepFindings(), work.job.record.question.prediction_id
        for place, part in enumerate(DEEP_PARTS):
            job.step(part, 0.45 + 0.4 * place / len(DEEP_PARTS))
            try:
                found = found.with_found(self._deep_of(prediction_id, part))
            except QuantlakeError as error:
                job.leave_out(part, str(error))
        job.step("deep_template", 0.85)
        given, first = work.given.with_deep(found), work.written
        written = narrate(template_sentences, "template", facts_of(given), first.passages, first.search)
        job.tell(written, given)
        self._finish(job, given, written, work.row)

    def _finish(self, job: JobUnderWay, given: NarrativeInputs, written: Narrative, row: Mapping[str, Any]) -> None:
        """Ask a language model where one is to write, log the text, and end the job."""
        if self._model is not None and job.record.question.depth != "fast":
            job.step("model", 0.9)
            self._let_model_write(job, given, written)
        log_explanation(self._configured, narrative_row(job.record, row, self._configured.clock.now()))
        job.complete()

    def _let_model_write(self, job: JobUnderWay, given: NarrativeInputs, template: Narrative) -> None:
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


def _question(facts: FactSheet) -> list[str]:
    """What passages should be about: the symbol, its drivers, models, regime and strategy."""
    drivers = [fact.subject for fact in facts.of("contribution") if fact.sign is not None]
    models = [fact.subject for fact in facts.of("model")]
    named = [
        fact.printed
        for fact in (*facts.of("forecast", "symbol"), *facts.of("regime"), *facts.of("strategy", "strategy"))
    ]
    return [*drivers, *models, *named]
