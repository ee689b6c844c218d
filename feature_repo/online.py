"""One online read per request: model input, regime and strategy of each symbol, within a deadline, with its age.

Free of Feast, whose import takes longer than starting an endpoint.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.online_source import Fetched, OnlineSource, Source, Values
from feature_repo.online_views import REGIME, STRATEGY, VIEWS, OnlineView, view_named, window_view
from feature_repo.packing import headers_of
from feature_repo.snapshot import Snapshot
from feature_repo.windows import FORECAST_V1, FloatArray, WindowSpec
from lake.clock import Clock, ReplayClock, SystemClock
from lake.settings import Settings
from lake.universe import MARKET

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Served:
    """Who answered a read, and when.

    Parameters
    ----------
    source
        ``redis``, or ``snapshot`` for the copy in memory that stands in for it.
    reason
        Why Redis did not answer; empty when it did.
    written_at
        Wall-clock time at which the values were materialised.
    read_at
        Wall-clock time of the read.
    now
        Market time of the read, against which ages count.
    """

    source: Source
    reason: str
    written_at: datetime
    read_at: datetime
    now: datetime

    @property
    def is_degraded(self) -> bool:
        """Whether something else than Redis answered."""
        return self.source != "redis"

    @property
    def written_age(self) -> timedelta:
        """How long ago the values were materialised, by the wall clock."""
        return self.read_at - self.written_at


@dataclass(frozen=True)
class OnlineBatch:
    """What the online store holds for the symbols that were asked for; every list is aligned with `symbols`.

    Parameters
    ----------
    symbols
        Those with a model input, in the order asked.
    as_of
        Close of the last session of each window.
    window
        float32 ``[symbol, session, feature]``, oldest session first; NaN is not known.
    reference_price
        Price the forecast returns start from.
    feature_hash
        Identity of each window, see `feature_repo.windows.window_hash`.
    table_versions
        Versions of the tables each window was made from.
    selected_strategy, strategies, weights, confidence
        The strategy in force; None and empty where none has been assigned yet.
    regime
        Regime of the market, None before the first is known.
    missing
        Symbols without a model input, or with one of another size, made for an earlier signature.
    known_time
        When each window was known.
    expired
        Views whose value has outlived what the view allows: ``window_…``, ``strategy``, ``regime``. Such a value is
        there to be looked at and must not be served as fresh; nothing is expired where the tuple is empty.
    served
        Who answered, and when.
    """

    symbols: list[str]
    as_of: list[datetime]
    window: FloatArray
    reference_price: list[float]
    feature_hash: list[str]
    table_versions: list[dict[str, int]]
    selected_strategy: list[str | None]
    strategies: list[list[str]]
    weights: list[list[float]]
    confidence: list[float | None]
    regime: str | None
    missing: list[str]
    known_time: list[datetime]
    expired: list[tuple[str, ...]]
    served: Served

    def __len__(self) -> int:
        """How many symbols have a model input."""
        return len(self.symbols)

    @property
    def source(self) -> Source:
        """Who answered."""
        return self.served.source

    @property
    def event_age(self) -> list[timedelta]:
        """How long before the market's now each window ends."""
        return [self.served.now - at for at in self.as_of]

    @property
    def known_age(self) -> list[timedelta]:
        """How long each window has been known, by the market's now."""
        return [self.served.now - at for at in self.known_time]


@dataclass(frozen=True)
class ViewRows:
    """Numbers of one view; every list is aligned with `names`.

    Parameters
    ----------
    names
        Entities that have a row, in the order asked; `missing` holds the others.
    columns
        Names of the numbers.
    values
        float64 ``[entity, column]``; NaN is not known.
    as_of, known_time
        Event time and known time of each row.
    is_expired
        Whether the row has outlived what the view allows.
    served
        Who answered, and when.
    """

    names: list[str]
    missing: list[str]
    columns: list[str]
    values: npt.NDArray[np.float64]
    as_of: list[datetime]
    known_time: list[datetime]
    is_expired: list[bool]
    served: Served


class OnlineReader:
    """Reads from Redis, and from the snapshot in memory while Redis does not answer. Safe for threads.

    Parameters
    ----------
    settings
        Say where Redis is and, in `online_timeout_ms`, how long a read of up to 500 symbols may take as a whole.
        Nothing is started.
    spec
        Windows to read.
    snapshot
        Stands in for Redis; None, the default, to raise instead. `OnlineReader.open` makes one.
    clock
        Says the market's now; by default the replay clock of the settings.
    """

    def __init__(
        self,
        settings: Settings,
        spec: WindowSpec = FORECAST_V1,
        *,
        snapshot: Snapshot | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._spec = spec
        self._window = window_view(spec)
        self._clock = clock or ReplayClock(settings.home / "clock.json")
        self._source = OnlineSource(settings, snapshot)
        self._get = {
            view: {name: view.layout.getter(name) for name, _ in view.layout.columns}
            for view in (self._window, STRATEGY, REGIME)
        }

    @classmethod
    def open(cls, settings: Settings, spec: WindowSpec = FORECAST_V1, clock: Clock | None = None) -> "OnlineReader":
        """Return a reader whose snapshot is loaded and kept fresh by a thread; `close` ends it."""
        views = {view.name: view for view in (*VIEWS, window_view(spec))}
        return cls(settings, spec, snapshot=Snapshot(settings, list(views.values()), clock).start(), clock=clock)

    def close(self) -> None:
        """End the snapshot's thread and the connections."""
        self._source.close()

    def read(self, symbols: Sequence[str]) -> OnlineBatch:
        """Return the current values of some symbols, all of one materialisation, with one question to Redis.

        Raises
        ------
        OnlineStoreError
            If Redis does not answer in time and no snapshot stands in.
        NotReadyError
            If nothing was ever materialised, and no snapshot stands in.
        """
        fetched = self._source.fetch([(self._window, symbols), (STRATEGY, symbols), (REGIME, [MARKET])])
        windows, strategies, regimes = fetched.values
        read = self._get[self._window]
        size = self._spec.shape[0] * self._spec.shape[1]
        found, rows, flat = [], [], []
        for n, value in enumerate(windows):
            window = None if value is None else read["window"](value)
            if value is not None and window is not None and len(window) == size:
                found.append(n)
                rows.append(value)
                flat.append(window)
        assigned = [strategies[n] for n in found]
        served = self._served(fetched)
        as_of, known, is_old = self._times(self._window, rows, served.now)
        expired = self._expired(is_old, assigned, regimes[0], served.now)
        places, held = set(found), self._held
        window_array = np.concatenate(flat) if flat else np.empty(0, np.float32)
        versions = {text: json.loads(text) for text in {read["table_versions"](value) for value in rows}}
        return OnlineBatch(
            symbols=[symbols[n] for n in found],
            as_of=as_of,
            window=window_array.astype(np.float32, copy=False).reshape(len(rows), *self._spec.shape),
            reference_price=[read["reference_price"](value) for value in rows],
            feature_hash=[read["feature_hash"](value) for value in rows],
            table_versions=[dict(versions[read["table_versions"](value)]) for value in rows],
            selected_strategy=held(STRATEGY, "selected_strategy", assigned),
            strategies=[names or [] for names in held(STRATEGY, "strategies", assigned)],
            weights=[[] if weights is None else weights.tolist() for weights in held(STRATEGY, "weights", assigned)],
            confidence=held(STRATEGY, "confidence", assigned),
            regime=held(REGIME, "regime", regimes)[0],
            missing=[symbol for n, symbol in enumerate(symbols) if n not in places],
            known_time=known,
            expired=expired,
            served=served,
        )

    def symbols(self) -> list[str]:
        """Return the symbols that have a model input, sorted; for the errors see `read`."""
        return self._source.names(self._window)

    def rows(self, view: str, names: Sequence[str], columns: Sequence[str] | None = None) -> ViewRows:
        """Return numbers of one view for some entities; for the errors see `read`.

        Parameters
        ----------
        view
            Name of a view, e.g. ``technical``.
        columns
            Columns of type Float64; all of them by default.
        """
        asked = view_named(view)
        floats = [name for name, kind in asked.layout.columns if kind == "f8"] if columns is None else list(columns)
        fetched = self._source.fetch([(asked, names)])
        (values,) = fetched.values
        served = self._served(fetched)
        held = [value for value in values if value is not None]
        as_of, known, is_old = self._times(asked, held, served.now)
        return ViewRows(
            names=[name for name, value in zip(names, values, strict=True) if value is not None],
            missing=[name for name, value in zip(names, values, strict=True) if value is None],
            columns=floats,
            values=asked.layout.floats(held, floats),
            as_of=as_of,
            known_time=known,
            is_expired=is_old,
            served=served,
        )

    def _held(self, view: OnlineView, name: str, values: Values) -> list[Any]:
        """One column of rows of which some are missing."""
        get = self._get[view][name]
        return [None if value is None else get(value) for value in values]

    def _served(self, fetched: Fetched) -> Served:
        written = EPOCH + timedelta(microseconds=fetched.written_us)
        return Served(fetched.source, fetched.reason, written, SystemClock().now(), self._clock.now())

    @staticmethod
    def _times(
        view: OnlineView, values: Sequence[bytes], now: datetime
    ) -> tuple[list[datetime], list[datetime], list[bool]]:
        """Event time, known time, and whether the row is expired."""
        headers = headers_of(values)
        oldest = (now - view.ttl - EPOCH) // timedelta(microseconds=1)
        instants = {
            at: EPOCH + timedelta(microseconds=at) for at in {*headers["event"].tolist(), *headers["known"].tolist()}
        }
        return (
            [instants[at] for at in headers["event"].tolist()],
            [instants[at] for at in headers["known"].tolist()],
            (headers["event"] < oldest).tolist(),
        )

    def _expired(
        self, windows_old: Sequence[bool], assigned: Values, regime: bytes | None, now: datetime
    ) -> list[tuple[str, ...]]:
        """Names of the expired views behind each symbol."""
        held = [value for value in assigned if value is not None]
        strategies_old = iter(self._times(STRATEGY, held, now)[2])
        regime_old = regime is not None and self._times(REGIME, [regime], now)[2][0]
        expired = []
        for is_old, strategy in zip(windows_old, assigned, strict=True):
            strategy_old = strategy is not None and next(strategies_old)
            flags = ((self._window.name, is_old), (STRATEGY.name, strategy_old), (REGIME.name, regime_old))
            expired.append(tuple(name for name, flag in flags if flag))
        return expired
