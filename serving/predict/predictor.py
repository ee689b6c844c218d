"""Predictor: reads the online store, forecasts, and composes the answer. Independent of HTTP."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from lake.clock import MinuteClock, SystemClock
from lake.errors import EngineError, ModelError, NotReadyError, QuantlakeError, UnknownNameError
from serving.deployment import Champions
from serving.forecast_log import ForecastLog, LogReader
from serving.monitoring import Stopwatch, metrics
from serving.predict.forecast_cache import ForecastCache
from serving.predict.forecasting import RowForecast, forecast
from serving.predict.questions import Answers, Question, not_offered
from serving.predict.response_template import AnswerTime, ResponseTemplates
from serving.predict.rows import require_known, split_ready

if TYPE_CHECKING:
    from feature_repo.online import OnlineBatch
    from lake.clock import Clock
    from lake.market import Market
    from lake.settings import Settings
    from serving.deployment import LoadedModels
    from serving.forecasts import Row

logger = logging.getLogger("quantlake.serving")


class OnlineValues(Protocol):
    """Source of the latest windows and strategy weights."""

    def symbols(self) -> Sequence[str]:
        """Symbols that have a model input."""
        ...

    def assigned_symbols(self) -> Sequence[str]:
        """Symbols that a strategy was selected for."""
        ...

    def read(self, symbols: Sequence[str]) -> "OnlineBatch":
        """Read the latest values of these symbols at once."""
        ...

    def close(self) -> None:
        """End its threads and connections."""
        ...


@dataclass(frozen=True)
class _Computed:
    """Every row that several questions need, with its forecast."""

    rows: "Mapping[str, tuple[Row, RowForecast]]"
    unavailable: Mapping[str, str]
    missing: frozenset[str]


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
    cache
        Forecasts of rows that were read before; without one every question is computed anew.
    """

    def __init__(
        self,
        online: OnlineValues,
        champions: Champions,
        log: ForecastLog,
        logged: LogReader,
        clock: "Clock",
        cache: ForecastCache | None = None,
    ) -> None:
        self._cache = ForecastCache(0) if cache is None else cache
        self.online, self.champions, self.log, self.logged, self.clock = online, champions, log, logged, clock

    @classmethod
    def open(cls, configured: "Settings") -> "Predictor":
        """Open everything the settings name. The first request that needs a missing part reports it."""
        from feature_repo.online import OnlineReader

        return cls(
            OnlineReader.open(configured, notice=metrics.OnlineNotice()),
            Champions(configured).watch(),
            ForecastLog.open(configured),
            LogReader(configured),
            MinuteClock(configured.clock),
            ForecastCache(configured.forecast_cache_symbols),
        )

    def close(self) -> None:
        """Close the log, the models and the reader of the online store."""
        try:
            self.log.close()
        finally:
            self.champions.close()
            self.online.close()

    @cached_property
    def market(self) -> "Market":
        """The market of the home, in whose units horizons are asked for."""
        return self.champions.configured.declared_market

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
        self.log.write(answers.to_log)
        watch.lap("log", composed)
        metrics.observe_batch(watch, len(answers.to_log))
        watch.tell([question])
        return answers

    def compute(self, questions: Sequence[Question], watch: Stopwatch | None = None) -> list[Answers | QuantlakeError]:
        """Answer questions together, with one online read and one engine call per model; nothing is logged yet.

        Returns
        -------
        list
            For each question its answers, or the error why it has none; an error of one does not touch the others.
        """
        watch = watch or Stopwatch()
        try:
            models = self.champions.current()
            offered = [question for question in questions if question.horizon in models.horizons]
            symbols = list(dict.fromkeys(s for question in offered for s in question.symbols))
            computed = self._compute(symbols, models, watch)
        except (ModelError, UnknownNameError) as error:
            return [error] if len(questions) == 1 else [self.compute([question])[0] for question in questions]
        except QuantlakeError as error:
            return [error] * len(questions)
        computed_at, moment = time.perf_counter(), AnswerTime(SystemClock().now(), self.clock.now())
        answers: list[Answers | QuantlakeError] = []
        for question in questions:
            try:
                answers.append(self._answer(question, computed, models, moment))
            except QuantlakeError as error:
                answers.append(error)
            except (ValueError, TypeError, ArithmeticError) as error:
                logger.exception("the forecast of %s does not hold together", ", ".join(question.symbols[:5]))
                answers.append(EngineError(f"The forecast does not hold together, so it is not given: {error}"))
        watch.lap("compose", computed_at)
        return answers

    def require_ready(self) -> None:
        """Raise what would stop a forecast: no model, no online store, no features, a failing engine, no log."""
        self.champions.current()
        symbols = self.online.symbols()
        if not symbols:
            raise NotReadyError("The online store holds no symbol yet. Materialise the asset 'online_store'.")
        self._cache.forget(symbols[0])  # so that the engines are called
        (answers,) = self.compute([Question(symbols[:1], self.champions.current().horizons[0])])
        if isinstance(answers, QuantlakeError):
            raise answers
        self.log.require_writable()

    def symbols(self) -> dict[str, bool]:
        """Every symbol that can be asked for, and whether it has a model input now."""
        ready, market = set(self.online.symbols()), self.logged.configured.declared_market
        every = ready | set(self.online.assigned_symbols())
        if market.row_names == "as_traded":
            every = {symbol for symbol in every if not market.names.is_superseded(symbol)}
        return {symbol: symbol in ready for symbol in sorted(every)}

    def _compute(self, symbols: Sequence[str], models: "LoadedModels", watch: Stopwatch) -> _Computed:
        if not symbols:  # of questions about horizons that no model forecasts
            return _Computed({}, {}, frozenset())
        started = time.perf_counter()
        batch = self.online.read(symbols)
        started = watch.lap("read", started)
        rows, unavailable = split_ready(batch)
        forecasts = self._forecast(rows, models, watch)
        watch.lap("compute", started)
        if rows and rows[0].degraded:
            metrics.count_degraded(rows[0].degraded, len(rows))
        by_symbol = {row.symbol: (row, made) for row, made in zip(rows, forecasts, strict=True)}
        return _Computed(by_symbol, dict(unavailable), frozenset(batch.missing))

    def _forecast(self, rows: "Sequence[Row]", models: "LoadedModels", watch: Stopwatch) -> list[RowForecast]:
        """Take forecasts of cached rows from the cache, and compute the others."""
        cached = [self._cache.recall(row, models) for row in rows]
        new = [row for row, known in zip(rows, cached, strict=True) if known is None]
        if not new:
            return [known for known in cached if known is not None]
        made = forecast(new, models)
        watch.engines = made.laps
        fresh = [made.of_row(place) for place in range(len(new))]
        whole = [place for place in range(len(new)) if place not in made.incomplete]
        self._cache.keep([new[place] for place in whole], models, [fresh[place] for place in whole])
        following = iter(fresh)
        return [next(following) if known is None else known for known in cached]

    def _answer(self, question: Question, computed: _Computed, models: "LoadedModels", moment: AnswerTime) -> Answers:
        if question.horizon not in models.horizons:
            raise not_offered(self.market, question.horizon, models.horizons)
        if missing := [symbol for symbol in question.symbols if symbol in computed.missing]:
            require_known(missing, list(self.symbols()))
        place = models.horizons.index(question.horizon)
        entries, unavailable, shadows = [], [], []
        for symbol in question.symbols:
            if symbol not in computed.rows:
                unavailable.append((symbol, computed.unavailable[symbol]))
                continue
            row, made = computed.rows[symbol]
            if not made.answered.members[place]:
                unavailable.append((symbol, self._why_unweighted(symbol, question.horizon)))
                continue
            templates = ResponseTemplates.of(made, row, models, question.horizon, moment.now)
            entries.append(templates.answered.filled(question, moment, question.kind))
            shadows += [template.filled(question, moment, "shadow") for template in templates.shadows]
        if not entries:
            raise NotReadyError(unavailable[0][1])
        return Answers(entries, unavailable, shadows)

    def _why_unweighted(self, symbol: str, horizon: int) -> str:
        return (
            f"{symbol} has no forecast over {self.market.horizon_of(horizon)} yet: no model in service that was "
            f"trained for it has a weight. Weights follow with the next session: `{self.market.next_run}`."
        )
