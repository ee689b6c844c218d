"""Micro-batching: requests that arrive during an engine call are computed together by the next call.

A lone question is computed at once: a batch grows with the load and never by a timer. The queue is bounded by expected
waiting time, not by number.
"""

import asyncio
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from lake.errors import LogError, OverloadedError, QuantlakeError
from serving.monitoring import Stopwatch, metrics
from serving.predict.questions import Answers, Question

if TYPE_CHECKING:
    from serving.predict.predictor import Predictor

logger = logging.getLogger("quantlake.serving")

LARGE_ROWS = 128
"""A question for more symbols than this is computed on its own, beside the batches of small ones."""
PATIENCE_SECONDS = 10.0
"""Timeout of a question whose answer hangs."""
WINDOW_SECONDS = 0.05
SMOOTHING = 0.5
"""Weight of the newest window in the expected seconds per forecast."""

Outcome = Answers | QuantlakeError
Waiting = tuple[Question, "asyncio.Future[Answers]"]


class Pace:
    """Forecasts under way, and the seconds that each took lately while the queue was not empty.

    It counts from question to answer, so it sees whatever they wait for: engine, disk, or the event loop itself.
    """

    def __init__(self) -> None:
        self.under_way = 0
        self._each_seconds, self._since, self._answered = 0.0, 0.0, 0

    @property
    def expected_seconds(self) -> float:
        """Seconds that those under way will take."""
        return self.under_way * self._each_seconds

    def begin(self, rows: int) -> None:
        """Count a question."""
        if not self.under_way:
            self._since, self._answered = time.perf_counter(), 0
        self.under_way += rows

    def end(self, rows: int) -> None:
        """Count its answer, or its failure."""
        self.under_way -= rows
        self._answered += rows
        now = time.perf_counter()
        each = (now - self._since) / self._answered
        if not self.under_way:
            # It had time to rest, so together they may be quicker than this, and are not slower.
            self._each_seconds = min(self._each_seconds or each, each)
        elif now - self._since >= WINDOW_SECONDS:
            self._each_seconds += SMOOTHING * (each - self._each_seconds) if self._each_seconds else each
            self._since, self._answered = now, 0


class Batcher:
    """Answers questions of one event loop in a thread of its own, several at a time, each logged before it is given.

    Parameters
    ----------
    predictor
        Computes and logs.
    rows
        Most forecasts of one batch; one engine call on more falls out of the processor's cache.
    queue_ms
        How long a question may be expected to wait; one that would wait longer is refused at once, unless less than
        half a batch is under way: then it is in the next batch, and nothing is gained by asking again.
    """

    def __init__(self, predictor: "Predictor", *, rows: int = 128, queue_ms: float = 250.0) -> None:
        self._predictor, self._rows, self._queue_seconds = predictor, rows, queue_ms / 1e3
        self._waiting: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._pace = Pace()
        self._thread: threading.Thread | None = None

    @property
    def expected_seconds(self) -> float:
        """Seconds that a question that comes now will wait for its answer, by the pace of the last ones.

        Zero when none is under way: the next one is always taken, so that a recovery is noticed.
        """
        return self._pace.expected_seconds

    @property
    def is_full(self) -> bool:
        """Whether the next question is refused."""
        return self._pace.under_way >= self._rows // 2 and self.expected_seconds > self._queue_seconds

    async def ask(self, question: Question) -> Answers:
        """Return the answers, all of them on disk; for the errors see `Predictor.predict`.

        Raises
        ------
        OverloadedError
            If it would wait for longer than is allowed.
        """
        if self.is_full:
            raise OverloadedError(
                f"{self._pace.under_way} forecasts are under way, about {self.expected_seconds * 1e3:.0f} ms; at most "
                f"{self._queue_seconds * 1e3:.0f} ms are allowed. Ask again a little later."
            )
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name="forecasts", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answers: asyncio.Future[Answers] = loop.create_future()
        patience = loop.call_later(PATIENCE_SECONDS, _give_up, answers)
        self._pace.begin(len(question.symbols))
        self._waiting.put((question, answers))
        try:
            return await answers
        finally:
            patience.cancel()
            self._pace.end(len(question.symbols))

    def close(self) -> None:
        """Compute what waits, then end the thread."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()

    def _work(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, is_last = self._gather(first)
            try:
                self._answer(batch)
            except Exception as error:
                # Later questions are answered whatever happened here, and the waiting ones get the error.
                logger.exception("a batch of %s questions could not be answered", len(batch))
                _deliver_all(batch, [error] * len(batch))
            if is_last:
                return

    def _gather(self, first: Waiting) -> tuple[list[Waiting], bool]:
        """Take waiting questions, up to the batch size; also returns whether `close` was called meanwhile."""
        batch, rows = [first], len(first[0].symbols)
        while rows < self._rows:
            try:
                following = self._waiting.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
            rows += len(following[0].symbols)
        return batch, False

    def _answer(self, batch: Sequence[Waiting]) -> None:
        watch, questions = Stopwatch(), [question for question, _ in batch]
        watch.lap("wait", min(question.asked_at for question in questions))
        outcomes: Sequence[Outcome] = self._predictor.compute(questions, watch)
        entries = [entry for outcome in outcomes if isinstance(outcome, Answers) for entry in outcome.to_log]
        if entries:
            composed = time.perf_counter()
            try:
                self._predictor.log.write(entries)
            except LogError as error:
                outcomes = [error if isinstance(outcome, Answers) else outcome for outcome in outcomes]
            watch.lap("log", composed)
        _deliver_all(batch, outcomes)
        if entries:
            metrics.observe_batch(watch, len(entries))
        watch.tell(questions)


def _give_up(answers: "asyncio.Future[Answers]") -> None:
    if not answers.done():
        answers.set_exception(LogError(f"No forecast could be computed and logged within {PATIENCE_SECONDS:.0f} s."))


def _deliver_all(batch: Sequence[Waiting], outcomes: Sequence[Answers | BaseException]) -> None:
    """Hand the outcomes over to the loops that wait for them, with one call for each loop."""
    by_loop = defaultdict(list)
    for (_, answers), outcome in zip(batch, outcomes, strict=True):
        by_loop[answers.get_loop()].append((answers, outcome))
    for loop, outcomes_of_loop in by_loop.items():
        with suppress(RuntimeError):  # a loop that is closed has nobody left who waits
            loop.call_soon_threadsafe(_deliver, outcomes_of_loop)


def _deliver(outcomes: "Sequence[tuple[asyncio.Future[Answers], Answers | BaseException]]") -> None:
    for answers, outcome in outcomes:
        if answers.done():
            continue
        if isinstance(outcome, BaseException):
            answers.set_exception(outcome)
        else:
            answers.set_result(outcome)
