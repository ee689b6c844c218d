"""One request, from symbols to logged answers: read online, compute, blend, log. Knows nothing of HTTP."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lake.clock import ReplayClock, SystemClock
from lake.errors import NotReadyError, UnknownNameError
from lake.universe import SYMBOLS
from serving.answers import compose, log_row
from serving.champions import Champions
from serving.forecast_log import ForecastLog
from serving.forecasting import forecast
from serving.rows import require_known, split_ready

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future
    from typing import Protocol

    from feature_repo.online import OnlineBatch
    from lake.clock import Clock
    from lake.settings import Settings
    from serving.rows import Row

    class OnlineSource(Protocol):
        """Where the latest windows and strategy weights come from."""

        def symbols(self) -> Sequence[str]:
            """Symbols that have a model input."""
            ...

        def read(self, symbols: Sequence[str]) -> OnlineBatch:
            """Read the latest values of these symbols at once."""
            ...

        def close(self) -> None:
            """End its threads and connections."""
            ...


LOG_SECONDS = 10.0


@dataclass(frozen=True)
class Answers:
    """Answers as JSON, the symbols that could not be answered with the reason, and whether it is all on disk."""

    answers: list[str]
    unavailable: list[tuple[str, str]]
    logged: "Future[None]"


class Predictor:
    """Forecasts for symbols, each in the forecast log before it is returned.

    Parameters
    ----------
    online
        Reader of the online store.
    champions
        Models in service.
    log
        Forecast log.
    clock
        Market clock, against which the age of the features is counted.
    """

    def __init__(self, online: "OnlineSource", champions: Champions, log: ForecastLog, clock: "Clock") -> None:
        self.online, self.champions, self.log, self.clock = online, champions, log, clock

    @classmethod
    def open(cls, configured: "Settings") -> "Predictor":
        """Open everything the settings name. What is missing is reported by the first request that needs it."""
        from feature_repo.online import OnlineReader

        return cls(
            OnlineReader.open(configured),
            Champions(configured),
            ForecastLog.open(configured),
            ReplayClock(configured.home / "clock.json"),
        )

    def close(self) -> None:
        """Write what is queued, let go of the log, and end what the reader of the online store runs."""
        try:
            self.log.close()
        finally:
            self.online.close()

    def predict(self, symbols: "Sequence[str]", horizon: int) -> Answers:
        """Forecast symbols over one horizon and wait until the answers are on disk; see `compute` for the errors."""
        answers = self.compute(symbols, horizon)
        answers.logged.result(LOG_SECONDS)
        return answers

    def compute(self, symbols: "Sequence[str]", horizon: int) -> Answers:
        """Forecast symbols over one horizon, with one online read and one engine call per model.

        The answers may be sent once `Answers.logged` is done.

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
        """
        started = time.perf_counter()
        models = self.champions.current()
        if horizon not in models.horizons:
            raise UnknownNameError("horizon", str(horizon), [str(known) for known in models.horizons])
        rows, unavailable = self._read(symbols)
        quantiles, members = forecast(rows, models)
        made_at, now = SystemClock().now(), self.clock.now()
        composed = [
            compose(row, numbers, parts, horizon=horizon, made_at=made_at, now=now)
            for row, numbers, parts in zip(rows, quantiles[:, models.horizons.index(horizon)], members, strict=True)
        ]
        latency_ms = (time.perf_counter() - started) * 1e3
        entries = [log_row(answer, now) | {"latency_ms": latency_ms} for answer in composed]
        texts = [answer.model_dump_json() for answer in composed]
        return Answers(texts, unavailable, self.log.record(entries, texts))

    def require_ready(self) -> None:
        """Raise what would stop a forecast: no model, no online store, no features."""
        self.champions.current()
        symbols = self.online.symbols()
        if not symbols:
            raise NotReadyError("The online store holds no symbol yet. Materialise the features with `make demo`.")
        self._read(symbols[:1])

    def symbols(self) -> dict[str, bool]:
        """Every symbol that can be asked for, and whether it has a model input now."""
        ready = set(self.online.symbols())
        return {symbol: symbol in ready for symbol in sorted(ready | set(SYMBOLS))}

    def _read(self, symbols: "Sequence[str]") -> "tuple[list[Row], list[tuple[str, str]]]":
        batch = self.online.read(symbols)
        if batch.missing:
            require_known(batch.missing, list(self.symbols()))
        rows, unavailable = split_ready(batch)
        if not rows:
            raise NotReadyError(unavailable[0][1])
        return rows, unavailable
