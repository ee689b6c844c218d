"""Bars of many symbols to features: every declared kernel, over a few symbols at a time and on all cores. Pure."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from feature_repo.catalog import TECHNICAL
from feature_repo.compute import BAR_COLUMNS, CALENDAR_COLUMNS, IS_ASKED, MARKET_COLUMNS, TIME_COLUMNS
from feature_repo.compute.fitted import Fits, FittedKernel
from feature_repo.compute.kernel import Bars, Index
from feature_repo.compute.market import MARKET_SESSIONS
from feature_repo.compute.returns import simple_return
from feature_repo.compute.volatility import annualised_volatility
from feature_repo.spec import Feature
from lake import calendars
from lake.horizons import DAY, MINUTES
from lake.market import DEMO, Market
from lake.spec import INSTANT
from lake.tables import BARS

ROWS_AT_ONCE = 100_000
"""Rows of one piece of work, whole symbols always: small enough for its columns to stay in the processor's cache."""
Times = npt.NDArray[np.int64]
REFITTED_BARS, MINUTE = 252, 60_000_000
"""Bars of minutes that pass for a year of sessions where something is fitted anew each year; microseconds."""
EPOCH_YEAR = 1970


@dataclass(frozen=True)
class Context:
    """Columns that are the same for every symbol, by instant.

    Parameters
    ----------
    times
        Microseconds since 1970, ascending.
    columns
        A value per instant.
    """

    times: Times
    columns: dict[str, Bars]

    def at(self, times: Times) -> "ContextRows":
        """Look up some times."""
        last = np.searchsorted(self.times, times, side="right") - 1
        if not self.times.size:
            return ContextRows(self, last, np.zeros(times.size, dtype=bool))
        return ContextRows(self, last, (last >= 0) & (self.times[last] == times))


@dataclass(frozen=True)
class ContextRows:
    """Where some times stand in a context.

    Parameters
    ----------
    last
        Position of the last instant at or before each time; -1 before the first.
    is_there
        Whether that instant is the time itself.
    """

    context: Context
    last: Index
    is_there: npt.NDArray[np.bool_]

    def tell(self, name: str) -> Bars:
        """Values of a column at exactly these times; NaN where there is none."""
        if not self.context.times.size:
            return np.full(self.last.size, np.nan)
        return np.where(self.is_there, self.context.columns[name][self.last], np.nan)


@dataclass(frozen=True)
class SymbolBars:
    """Bars of many symbols as arrays, symbol after symbol and in order of time.

    Parameters
    ----------
    starts
        First row of each symbol, and at the end the number of rows.
    event, known
        Times of each row, in microseconds since 1970; `known` is None where nobody asks when rows could be known.
    columns
        Columns of bars by name, `feature_repo.compute.IS_ASKED` among them where not all rows are asked for; NaN is
        not known.
    """

    starts: Index
    event: Times
    known: Times | None
    columns: Mapping[str, Bars]


def bar_columns(features: Iterable[Feature]) -> list[str]:
    """Columns of the bars that some features need: key, times, their inputs, and the close, which tells the index."""
    asked = {name for feature in features for name in feature.inputs} & {*BAR_COLUMNS}
    asked |= {"symbol", "event_time", "known_time", "close"}
    return [name for name in BARS.names if name in asked]


def compute_group(
    bars: pl.DataFrame, features: Iterable[Feature], *, market: Market = DEMO, fits: Fits | None = None
) -> pl.DataFrame:
    """Compute features for every bar of every symbol.

    Parameters
    ----------
    bars
        Clean bars as of one instant, one row per (symbol, event_time), the index's among them. A column `is_asked`, 1
        or 0, may say whose values are asked for; by default all are. Those of the others are undefined.
    features
        A feature group, or any features.
    market
        Says which symbol is the index, context for the others without a row of its own, and which calendar holds.
    fits
        Fits that need not be made again; those that are made are added. They change no value.

    Returns
    -------
    pl.DataFrame
        ``symbol, event_time, known_time`` and one Float64 column per feature, sorted by symbol and event_time. A value
        the bars cannot support is null, never NaN. `known_time` is the latest among the bars the row may have used:
        those of the symbol and of the index up to its close. Without bars of the index its features are null.
    """
    chosen = tuple(features)
    is_index = pl.col("symbol") == market.index
    index, own = bars.filter(is_index), _in_order(bars.filter(~is_index))
    asked = {name for feature in chosen for name in feature.inputs} & {*BAR_COLUMNS, IS_ASKED}
    event, known_times = (own[name].to_physical().to_numpy() for name in ("event_time", "known_time"))
    columns = {name: _numpy(own, name) for name in own.columns if name in asked}
    arrays = SymbolBars(_starts(own["symbol"]), event, known_times, columns)
    known, values = compute_arrays(arrays, index, chosen, market=market, fits=fits)
    return pl.DataFrame(
        [
            own["symbol"],
            own["event_time"],
            pl.Series("known_time", known).cast(INSTANT),
            *(nullable(name, column) for name, column in values.items()),
        ]
    )


def compute_arrays(
    bars: SymbolBars,
    index: pl.DataFrame,
    features: Iterable[Feature],
    *,
    market: Market = DEMO,
    fits: Fits | None = None,
) -> tuple[Times, dict[str, Bars]]:
    """Compute features as `compute_group` does, from arrays to arrays.

    Parameters
    ----------
    index
        Bars of the index, context for all symbols.

    Returns
    -------
    tuple[Times, dict[str, Bars]]
        For each row the latest `known_time` it may rest on, in microseconds (undefined where `bars` have none), and its
        value of each feature; NaN where the bars cannot support one.
    """
    chosen = tuple(features)
    panel = _Panel(bars, _market_context(_in_order(index)), market, chosen, Fits() if fits is None else fits)
    known = np.empty(bars.event.size, dtype=np.int64)
    values = {feature.name: np.empty(bars.event.size) for feature in chosen}
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        list(threads.map(partial(panel.fill, values, known), _pieces(bars.starts)))
    return known, values


def compute_technical(
    bars: pl.DataFrame, features: Iterable[Feature] = TECHNICAL, *, market: Market = DEMO
) -> pl.DataFrame:
    """Compute the technical features of every bar; see `compute_group`."""
    return compute_group(bars, features, market=market)


def compile_context() -> None:
    """Import numba and compile what describes the index, which every computation of a group calls."""
    for described in (simple_return, annualised_volatility):
        described.compile()


class _Panel:
    """Bars of all symbols, and what every symbol shares."""

    def __init__(
        self, own: SymbolBars, index: Context, market: Market, features: Sequence[Feature], fits: Fits
    ) -> None:
        self._features, self._market, self._of, self._fits = features, index, market, fits
        self._valid = tuple(feature for feature in features if market.interval in feature.intervals)
        self._inputs = {name for feature in self._valid for name in feature.inputs}
        self._bars = {name: values for name, values in own.columns.items() if name in self._inputs}
        self._event, self._known = own.event, own.known

    def fill(self, values: dict[str, Bars], known: Times, starts: Index) -> None:
        """Compute the rows of some neighbouring symbols, from their first rows and the end of the last."""
        rows = slice(starts[0], starts[-1])
        times, local = self._event[rows], starts - starts[0]
        inputs = {name: self._bars[name][rows].copy() for name in self._bars}
        if self._known is not None or not self._inputs.isdisjoint(MARKET_COLUMNS):
            market = self._market.at(times)
            inputs |= {name: market.tell(name) for name in MARKET_COLUMNS if name in self._inputs}
            if self._known is not None:
                known[rows] = self._latest_known(self._known[rows], local, market.last)
        if not self._inputs.isdisjoint(CALENDAR_COLUMNS):
            planned = _calendar_context(self._of.calendar).at(times)
            inputs |= {name: planned.tell(name) for name in CALENDAR_COLUMNS}
        if not self._inputs.isdisjoint(TIME_COLUMNS):
            inputs["year"] = _years(times, self._of.interval)
        if IS_ASKED in self._inputs - self._bars.keys():
            inputs[IS_ASKED] = np.ones(times.size)
        for feature in self._features:
            if feature not in self._valid:
                values[feature.name][rows] = np.nan
        for feature in self._valid:
            given = [inputs[name] for name in feature.inputs]
            function, out = feature.function, values[feature.name][rows]
            if isinstance(function, FittedKernel):
                function.over(local, given, feature.parameters, out, self._fits)
            else:
                function.over(local, given, feature.parameters, out)

    def _latest_known(self, known: Times, starts: Index, place: Index) -> Times:
        """Latest known_time among a symbol's and the index's bars up to each row."""
        base = known.min()
        span = known.max() - base + 1
        step = np.repeat(np.arange(starts.size - 1), np.diff(starts)) * span  # so that no symbol reaches into the next
        own: Times = np.maximum.accumulate(known - base + step) - step + base
        if not self._market.times.size:
            return own
        latest = self._market.columns["known_time"][place].astype(np.int64)
        return np.where(place >= 0, np.maximum(own, latest), own)


def _years(times: Times, interval: str) -> Bars:
    """Year of each close in UTC; of bars of minutes the number of the stretch of 252 of them, which is refitted after.

    A market of minutes may have all its bars in one calendar year: parameters that are fitted on what came before the
    year would never be.
    """
    if interval == DAY:
        return times.view("datetime64[us]").astype("datetime64[Y]").astype(np.float64) + EPOCH_YEAR
    return np.floor((times - 1) / (REFITTED_BARS * MINUTES[interval] * MINUTE))


def _market_context(index: pl.DataFrame) -> Context:
    """Describe the index at each of its closes."""
    times: Times = index["event_time"].to_physical().to_numpy()
    close = _numpy(index, "close").copy()
    known = np.maximum.accumulate(index["known_time"].to_physical().to_numpy())
    if not times.size:
        return Context(times, dict.fromkeys(MARKET_COLUMNS, close))
    described = (close, simple_return(close, 1), annualised_volatility(close, MARKET_SESSIONS))
    return Context(times, {**dict(zip(MARKET_COLUMNS, described, strict=True)), "known_time": known})


@cache
def _calendar_context(calendar: str) -> Context:
    """Describe every session by the exchange's calendar as it was published beforehand."""
    month = pl.col("session").dt.truncate("1mo")
    planned = pl.DataFrame({"session": calendars.planned_sessions(calendar)}).with_columns(
        pl.col("session").dt.weekday().cast(pl.Float64).alias("weekday"),
        (pl.len().over(month) - pl.int_range(pl.len()).over(month) - 1.0).alias("sessions_left_in_month"),
    )
    sessions = calendars.closes(calendar).join(planned, on="session", how="left", maintain_order="left")
    times = sessions["event_time"].to_physical().to_numpy()
    return Context(times, {name: sessions[name].to_numpy() for name in CALENDAR_COLUMNS})


def _in_order(bars: pl.DataFrame) -> pl.DataFrame:
    """Sort by symbol and time, if they are not."""
    symbol, time = pl.col("symbol"), pl.col("event_time")
    rises = (symbol > symbol.shift(1)) | ((symbol == symbol.shift(1)) & (time > time.shift(1)))
    in_order: Any = bars.select(rises.all()).item()
    return bars if in_order else bars.sort("symbol", "event_time")


def _starts(symbols: pl.Series) -> Index:
    """First row of each symbol, and at the end the number of rows."""
    lengths = symbols.rle().struct.field("len").to_numpy().astype(np.int64)
    return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])


def _pieces(starts: Index) -> Iterator[Index]:
    """Cut the symbols into runs of about `ROWS_AT_ONCE` rows, and a small panel into one run per thread."""
    first, enough = 0, min(ROWS_AT_ONCE, math.ceil(starts[-1] / pl.thread_pool_size()))
    for last in range(1, starts.size):
        if starts[last] - starts[first] >= enough or last == starts.size - 1:
            yield starts[first : last + 1]
            first = last


def _numpy(frame: pl.DataFrame, name: str) -> Bars:
    """Return a column as an array with NaN for null."""
    return frame[name].cast(pl.Float64).to_numpy()


def nullable(name: str, values: Bars) -> pl.Series:
    """Return an array as a column with null for NaN, without copying it."""
    known = ~np.isnan(values)
    mask = None if known.all() else pa.py_buffer(np.packbits(known, bitorder="little"))
    arrow = pa.Array.from_buffers(pa.float64(), values.size, [mask, pa.py_buffer(values)])
    return pl.Series(name, arrow)
