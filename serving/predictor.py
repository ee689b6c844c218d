"""From questions to composed forecasts: read online, compute, blend, compose. Knows nothing of HTTP."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from lake.clock import ReplayClock, SystemClock
from lake.errors import EngineError, LogError, ModelError, NotReadyError, QuantlakeError, UnknownNameError
from lake.universe import SYMBOLS
from serving import metrics
from serving.answers import compose, log_row
from serving.calibration import calibrate_forecasts
from serving.champions import Champions
from serving.forecast_log import Entry, ForecastLog
from serving.forecasting import Forecasts, Said, forecast
from serving.log_reading import LogReader
from serving.memory import Memory
from serving.receipts.writing import receipt_text
from serving.rows import require_known, split_ready
from serving.stopwatch import Stopwatch

if TYPE_CHECKING:
    from datetime import datetime

    from feature_repo.online import OnlineBatch
    from lake.clock import Clock
    from lake.settings import Settings
    from serving.champions import LoadedModels
    from serving.rows import Row

logger = logging.getLogger("quantlake.serving")

LOG_SECONDS = 10.0


class OnlineSource(Protocol):
    """Where the latest windows and strategy weights come from."""

    def symbols(self) -> Sequence[str]:
        """Symbols that have a model input."""
        ...

    def read(self, symbols: Sequence[str]) -> "OnlineBatch":
        """Read the latest values of these symbols at once."""
        ...

    def close(self) -> None:
        """End its threads and connections."""
        ...


@dataclass(frozen=True)
class Question:
    """What one request asks.

    Parameters
    ----------
    symbols
        Each once.
    horizon
        Sessions ahead.
    kind
        How its forecasts are named in the log.
    asked_at
        ``time.perf_counter()`` when it came; the latency that is logged counts from there.
    key_id
        API key it was asked with; empty where nobody from outside asked.
    correlation_id
        Id of the request, as `serving.arrival` takes or makes it; it stands in the receipts.
    follow
        Told how long each stage took once the answers are out; spans are made of it.
    """

    symbols: Sequence[str]
    horizon: int
    kind: str = "served"
    asked_at: float = field(default_factory=time.perf_counter)
    key_id: str = ""
    correlation_id: str = ""
    follow: Callable[[Stopwatch], None] | None = None


@dataclass(frozen=True)
class Answers:
    """Forecasts to be logged and then sent, and the symbols that have none, with the reason.

    Parameters
    ----------
    shadows
        Forecasts to be logged with them and never sent; see `serving.forecasting`.
    """

    entries: list[Entry]
    unavailable: list[tuple[str, str]]
    shadows: list[Entry] = field(default_factory=list)

    @property
    def to_log(self) -> list[Entry]:
        """Everything to be logged before the answers are sent."""
        return self.entries + self.shadows

    @property
    def texts(self) -> list[str]:
        """The answers, as JSON."""
        return [entry.answer for entry in self.entries]


@dataclass(frozen=True)
class _Computed:
    """Every row that several questions need, with its quantiles and its models."""

    rows: "Mapping[str, tuple[int, Row]]"
    unavailable: Mapping[str, str]
    missing: frozenset[str]
    said: Forecasts


class Predictor:
    """Forecasts for symbols.

    Parameters
    ----------
    online
        Reader of the online store.
    champions
        Models in service.
    log
        Forecast log, written to.
    logged
        Forecast log of all processes, read from.
    clock
        Market clock, against which the age of the features is counted.
    memory
        What the models have said lately; without one every question is computed anew.
    """

    def __init__(
        self,
        online: OnlineSource,
        champions: Champions,
        log: ForecastLog,
        logged: LogReader,
        clock: "Clock",
        memory: Memory | None = None,
    ) -> None:
        self._memory = memory
        self.online, self.champions, self.log, self.logged, self.clock = online, champions, log, logged, clock

    @classmethod
    def open(cls, configured: "Settings") -> "Predictor":
        """Open everything the settings name. What is missing is reported by the first request that needs it."""
        from feature_repo.online import OnlineReader

        return cls(
            OnlineReader.open(configured),
            Champions(configured).watch(),
            ForecastLog.open(configured),
            LogReader(configured),
            ReplayClock(configured.home / "clock.json"),
            Memory(configured.remembered_windows),
        )

    def close(self) -> None:
        """Write what is queued, let go of the log, and end what the reader of the online store runs."""
        try:
            self.log.close()
        finally:
            self.champions.close()
            self.online.close()

    def predict(self, symbols: Sequence[str], horizon: int) -> Answers:
        """Forecast symbols over one horizon and wait until the answers are on disk; see `answer`."""
        return self.answer(Question(symbols, horizon))

    def answer(self, question: Question) -> Answers:
        """Answer one question and wait until the answers are on disk.

        Raises
        ------
        UnknownNameError
            For a symbol or a horizon that does not exist, with the nearest names.
        NotReadyError
            If none of the symbols can be forecast yet.
        ModelError
            If no model is in service, a weighted model is missing, or an engine refuses.
        OnlineStoreError
            If the online store does not answer.
        LogError
            If the forecasts cannot be logged; they are not given then.
        """
        watch = Stopwatch()
        (answers,) = self.compute([question], watch)
        if isinstance(answers, QuantlakeError):
            raise answers
        composed = time.perf_counter()
        try:
            self.log.record(answers.to_log).result(LOG_SECONDS)
        except TimeoutError as error:
            raise LogError(f"The forecast log did not take the forecasts within {LOG_SECONDS:.0f} s.") from error
        watch.lap("log", composed)
        metrics.observe_batch(watch, len(answers.to_log))
        watch.tell([question])
        return answers

    def compute(self, questions: Sequence[Question], watch: Stopwatch | None = None) -> list[Answers | QuantlakeError]:
        """Answer questions together, with one online read and one engine call per model; nothing is logged yet.

        Returns
        -------
        list
            For each question its answers, or why it has none; what is wrong with one does not touch the others.
        """
        watch = watch or Stopwatch()
        try:
            models = self.champions.current()
            symbols = list(dict.fromkeys(s for question in questions for s in question.symbols))
            computed = self._compute(symbols, models, watch)
        except (ModelError, UnknownNameError) as error:
            return [error] if len(questions) == 1 else [self.compute([question])[0] for question in questions]
        except QuantlakeError as error:
            return [error] * len(questions)
        computed_at, made_at, now = time.perf_counter(), SystemClock().now(), self.clock.now()
        answers: list[Answers | QuantlakeError] = []
        for question in questions:
            try:
                answers.append(self._answer(question, computed, models, made_at, now))
            except QuantlakeError as error:
                answers.append(error)
            except (ValueError, TypeError, ArithmeticError) as error:
                logger.exception("the forecast of %s does not hold together", ", ".join(question.symbols[:5]))
                answers.append(EngineError(f"The forecast does not hold together, so it is not given: {error}"))
        watch.lap("compose", computed_at)
        return answers

    def require_ready(self) -> None:
        """Raise what would stop a forecast: no model, no online store, no features, an engine that refuses, no log."""
        self.champions.current()
        symbols = self.online.symbols()
        if not symbols:
            raise NotReadyError("The online store holds no symbol yet. Materialise the features with `make demo`.")
        (answers,) = self.compute([Question(symbols[:1], self.champions.current().horizons[0])])
        if isinstance(answers, QuantlakeError):
            raise answers
        self.log.require_writable()

    def symbols(self) -> dict[str, bool]:
        """Every symbol that can be asked for, and whether it has a model input now."""
        ready = set(self.online.symbols())
        return {symbol: symbol in ready for symbol in sorted(ready | set(SYMBOLS))}

    def _compute(self, symbols: Sequence[str], models: "LoadedModels", watch: Stopwatch) -> _Computed:
        started = time.perf_counter()
        batch = self.online.read(symbols)
        started = watch.lap("read", started)
        rows, unavailable = split_ready(batch)
        said = forecast(rows, models, self._memory) if rows else Forecasts(np.empty((0, len(models.horizons), 3)), [])
        said = calibrate_forecasts(said, models.horizons, [row.calibration for row in rows])
        watch.engines = said.laps
        watch.lap("compute", started)
        if rows and rows[0].degraded:
            metrics.count_degraded(rows[0].degraded, len(rows))
        placed = {row.symbol: (place, row) for place, row in enumerate(rows)}
        return _Computed(placed, dict(unavailable), frozenset(batch.missing), said)

    def _answer(
        self, question: Question, computed: _Computed, models: "LoadedModels", made_at: "datetime", now: "datetime"
    ) -> Answers:
        if question.horizon not in models.horizons:
            raise UnknownNameError("horizon", str(question.horizon), [str(known) for known in models.horizons])
        if missing := [symbol for symbol in question.symbols if symbol in computed.missing]:
            require_known(missing, list(self.symbols()))
        horizon = models.horizons.index(question.horizon)
        entries, unavailable, shadows = [], [], []
        said = computed.said
        for symbol in question.symbols:
            if symbol not in computed.rows:
                unavailable.append((symbol, computed.unavailable[symbol]))
                continue
            place, row = computed.rows[symbol]
            answered = Said(said.quantiles[place], said.members[place])
            moment = _Moment(question, models, horizon, made_at, now)
            entries.append(_entry(moment, row, answered, question.kind))
            shadows += [_entry(moment, row, other, "shadow") for other in said.shadows.get(place, ())]
        if not entries:
            raise NotReadyError(unavailable[0][1])
        return Answers(entries, unavailable, shadows)


class _Moment(NamedTuple):
    """What the forecasts of one question have in common."""

    question: Question
    models: "LoadedModels"
    horizon: int
    made_at: "datetime"
    now: "datetime"


def _entry(moment: _Moment, row: "Row", said: Said, kind: str) -> Entry:
    """Compose one forecast as it is answered and as it is logged, with its receipt."""
    question, models, horizon, made_at, now = moment
    quantiles = said.quantiles[horizon]
    answer = compose(row, quantiles, said.members, horizon=question.horizon, made_at=made_at, now=now)
    text = answer.model_dump_json()
    logged = log_row(answer, now) | {"latency_ms": (time.perf_counter() - question.asked_at) * 1e3, "kind": kind}
    asker = "" if kind == "shadow" else question.key_id
    receipt = receipt_text(row, logged, text, said.members, models, question.correlation_id)
    return Entry(logged, text, receipt, asker)
