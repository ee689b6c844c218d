"""One online read per request: model input, regime and strategy of each symbol, within a deadline, with its age.

Free of Feast, whose import takes longer than starting an endpoint.
"""

import json
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.online.answers import OnlineBatch, Served, ViewRow, ViewRows
from feature_repo.online.blend import weights_in_force
from feature_repo.online.calibration import calibration_in_force
from feature_repo.online.packing import EPOCH, instant
from feature_repo.online.repair import StoreObserver
from feature_repo.online.snapshot import OnlineSnapshot
from feature_repo.online.source import Fetched, PackedRowSource, ViewPart
from feature_repo.online.views import (
    BLEND,
    CALIBRATION,
    REGIME,
    STRATEGY,
    VIEWS,
    oldest_current,
    view_named,
    window_view,
)
from feature_repo.targets import FORECAST_V2, FloatArray, WindowSpec
from lake.clock import Clock, MinuteClock, SystemClock
from lake.settings import Settings

MICROSECOND = timedelta(microseconds=1)
CLOCK_SECONDS = 0.1
"""How long a reading of the market's clock, which is a file, is good for."""
WINDOW_COLUMNS = ("reference_price", "feature_hash", "table_versions", "price_basis", "currency")
STRATEGY_COLUMNS = ("selected_strategy", "strategies", "weights", "confidence")
MARKET_VIEWS = (REGIME, CALIBRATION, BLEND)
"""Views with one row, under the name of the index."""
NOT_ASSIGNED: list[Any] = [None] * len(STRATEGY_COLUMNS)


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
    notice
        Told of values that do not verify, and of repairs.
    """

    def __init__(
        self,
        settings: Settings,
        spec: WindowSpec = FORECAST_V2,
        *,
        snapshot: OnlineSnapshot | None = None,
        clock: Clock | None = None,
        notice: StoreObserver | None = None,
    ) -> None:
        self._spec = spec
        self._window = window_view(spec)
        self._clock, self.market = clock or MinuteClock(settings.clock), settings.declared_market
        self._market_rows = tuple((view, (self.market.index,)) for view in MARKET_VIEWS)
        self._source = PackedRowSource(settings, snapshot, notice)
        self._now, self._ask_clock_at = EPOCH, 0.0
        self._read_window = self._window.layout.reader(WINDOW_COLUMNS)
        self._read_strategy = STRATEGY.layout.reader(STRATEGY_COLUMNS)
        self._read_regime = REGIME.layout.getter("regime")
        self._size = spec.shape[0] * spec.shape[1]
        self._views = {
            view.name: (view, [name for name, kind in view.layout.columns if kind == "f8"]) for view in VIEWS
        }

    @classmethod
    def open(
        cls,
        settings: Settings,
        spec: WindowSpec = FORECAST_V2,
        clock: Clock | None = None,
        notice: StoreObserver | None = None,
    ) -> "OnlineReader":
        """Return a reader whose snapshot is loaded and kept fresh by a thread; `close` ends it."""
        views = {view.name: view for view in (*VIEWS, window_view(spec))}
        snapshot = OnlineSnapshot(settings, list(views.values()), clock).start()
        return cls(settings, spec, snapshot=snapshot, clock=clock, notice=notice)

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
        fetched = self._source.fetch([(self._window, symbols), (STRATEGY, symbols), *self._market_rows])
        windows, strategies, regimes, calibrations, blends = fetched.parts
        served = self._served(fetched)
        found, places, values = self._usable(windows)
        read_window, read_strategy = self._read_window, self._read_strategy
        rows = [read_window(windows.held[place]) for place in places]
        in_force = [strategies.values[n] for n in found]
        assigned = [NOT_ASSIGNED if row is None else read_strategy(row) for row in in_force]
        event, known = windows.event.tolist(), windows.known.tolist()
        kept = set(found) if len(found) < len(symbols) else None
        return OnlineBatch(
            symbols=[symbols[n] for n in found],
            as_of=[instant(event[place]) for place in places],
            window=values.reshape(len(rows), *self._spec.shape),
            reference_price=[row[0] for row in rows],
            price_basis=[row[3] for row in rows],
            currency=[row[4] for row in rows],
            feature_hash=[row[1] for row in rows],
            table_versions=[dict(_versions(row[2])) for row in rows],
            selected_strategy=[row[0] for row in assigned],
            strategies=[row[1] or [] for row in assigned],
            weights=[[] if row[2] is None else row[2].tolist() for row in assigned],
            confidence=[row[3] for row in assigned],
            regime=self._read_regime(regimes.held[0]) if regimes.held else None,
            blend=weights_in_force(blends.held, served.now),
            calibration=calibration_in_force(calibrations.held, served.now),
            missing=[] if kept is None else [symbol for n, symbol in enumerate(symbols) if n not in kept],
            known_time=[instant(known[place]) for place in places],
            expired=self._expired(fetched, found, places, served.now),
            packed=[(windows.held[place], value or b"") for place, value in zip(places, in_force, strict=True)],
            served=served,
        )

    def _usable(self, windows: ViewPart) -> tuple[list[int], list[int], FloatArray]:
        """Of the windows of the size asked for: place among the symbols, place among the rows held, and numbers."""
        found = [n for n, value in enumerate(windows.values) if value is not None]
        stacked = self._window.layout.stacked("window", windows.held)
        if stacked is not None and stacked.shape[1] == self._size:
            return found, list(range(len(found))), stacked.astype(np.float32, copy=False)
        read = self._window.layout.getter("window")
        numbers = [read(value) for value in windows.held]
        fits = [n for n, window in enumerate(numbers) if window is not None and len(window) == self._size]
        chosen = [np.empty((0, self._size), np.float32), *(numbers[n][None] for n in fits)]
        return [found[n] for n in fits], fits, np.concatenate(chosen).astype(np.float32, copy=False)

    def _expired(
        self, fetched: Fetched, found: Sequence[int], places: Sequence[int], now: datetime
    ) -> list[tuple[str, ...]]:
        """Names of the expired views behind each symbol."""
        views, parts = (self._window, STRATEGY, REGIME), fetched.parts[:3]
        pairs = zip(parts, views, strict=True)
        windows, strategies, regimes = (
            _are_old(part.event, view.ttl, now, self.market.calendar) for part, view in pairs
        )
        if not (windows.any() or strategies.any() or regimes.any()):
            return [()] * len(found)
        of_held = iter(strategies.tolist())
        of_symbols = [value is not None and next(of_held) for value in fetched.parts[1].values]
        flags = [(windows[place], of_symbols[n], regimes.any()) for n, place in zip(found, places, strict=True)]
        return [tuple(view.name for view, is_old in zip(views, old, strict=True) if is_old) for old in flags]

    def symbols(self) -> list[str]:
        """Return the symbols that have a model input, sorted; for the errors see `read`."""
        return self._source.names(self._window)

    def assigned_symbols(self) -> list[str]:
        """Return the symbols that a strategy was selected for, sorted; for the errors see `read`."""
        return [name for name in self._source.names(STRATEGY) if name != self.market.index]

    def rows(self, view: str, names: Sequence[str], columns: Sequence[str] | None = None) -> ViewRows:
        """Return numbers of one view for some entities; for the errors see `read`.

        Parameters
        ----------
        view
            Name of a view, e.g. ``technical``.
        columns
            Columns of type Float64; all of them by default.
        """
        asked, numbers = self._views[view] if view in self._views else (view_named(view), [])
        floats = numbers if columns is None else list(columns)
        fetched = self._source.fetch([(asked, names)])
        (part,) = fetched.parts
        served = self._served(fetched)
        is_whole = len(part.held) == len(names)
        pairs = [] if is_whole else list(zip(names, part.values, strict=True))
        return ViewRows(
            names=list(names) if is_whole else [name for name, value in pairs if value is not None],
            missing=[name for name, value in pairs if value is None],
            columns=floats,
            values=asked.layout.floats(part.held, floats, part.words),
            as_of=[instant(at) for at in part.event.tolist()],
            known_time=[instant(at) for at in part.known.tolist()],
            is_expired=_are_old(part.event, asked.ttl, served.now, served.calendar).tolist(),
            served=served,
        )

    def row(self, view: str, name: str) -> ViewRow | None:
        """Return the row of one entity of a view, None where it has none; for the errors see `read`."""
        asked = view_named(view)
        fetched = self._source.fetch([(asked, [name])])
        (part,) = fetched.parts
        if not part.held:
            return None
        columns = [column for column, _ in asked.layout.columns]
        served = self._served(fetched)
        return ViewRow(
            values=dict(zip(columns, asked.layout.reader(columns)(part.held[0]), strict=True)),
            as_of=instant(int(part.event[0])),
            known_time=instant(int(part.known[0])),
            is_expired=bool(_are_old(part.event, asked.ttl, served.now, served.calendar)[0]),
            served=served,
        )

    def _served(self, fetched: Fetched) -> Served:
        now = time.monotonic()
        if now >= self._ask_clock_at:
            self._now, self._ask_clock_at = self._clock.now(), now + CLOCK_SECONDS
        generation, read_at = fetched.generation, SystemClock().now()
        written_at, calendar = instant(generation.number), self.market.grid
        return Served(fetched.source, fetched.degradation, written_at, read_at, self._now, generation, calendar)


def _are_old(events: npt.NDArray[np.int64], ttl: timedelta, now: datetime, calendar: str) -> npt.NDArray[np.bool_]:
    """Which rows have outlived what the view allows; sessions are counted where one is older than its time alone."""
    is_old = events < _microseconds(now - ttl)
    return events < _microseconds(_oldest(ttl, now, calendar)) if is_old.any() else is_old


@lru_cache(maxsize=64)
def _oldest(ttl: timedelta, now: datetime, calendar: str) -> datetime:
    return oldest_current(ttl, now, calendar)


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // MICROSECOND


@lru_cache(maxsize=1_024)
def _versions(text: str) -> dict[str, int]:
    versions: dict[str, int] = json.loads(text)
    return versions
