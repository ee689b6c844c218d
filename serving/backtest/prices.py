"""Bars of a universe as arrays: as traded with splits and dividends where the source says so, else as adjusted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.errors import NotReadyError
from lake.store import LakeReader
from lake.tables import ACTIONS, BARS

FloatArray = npt.NDArray[np.float64]
VOLATILITY_SESSIONS = 20
"""Returns that a daily volatility is estimated from."""
WARM_UP_DAYS = 60
"""Calendar days before the first session that are read, so that volatility is known from it on."""
STARTING_VOLATILITY = 0.02
"""Daily volatility of a symbol with fewer than two returns."""
AS_TRADED, ADJUSTED = "as traded", "adjusted"


@dataclass(frozen=True)
class BarPanel:
    """Bars of a universe over the sessions of a back-test.

    Parameters
    ----------
    symbols, sessions
        Of the axes; sessions are closes.
    open, high, low, close, volume
        ``[session, symbol]``, in the currency of the market and in shares; NaN where there is no bar, or the source
        does not say.
    volatility
        Daily, ``[session, symbol]``: of returns up to and with the session *before*.
    split_ratio, dividend
        New shares per old one (1 without a split) and money per share, before the open of the session.
    basis
        Per symbol: ``as traded`` with actions, or ``adjusted``, where splits and dividends are within the prices.
    delisted
        Per symbol: place of its last session if it counts as delisted by the last one, else -1.
    """

    symbols: tuple[str, ...]
    sessions: tuple[datetime, ...]
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    volatility: FloatArray
    split_ratio: FloatArray
    dividend: FloatArray
    basis: tuple[str, ...]
    delisted: npt.NDArray[np.int64]

    @property
    def has_bar(self) -> npt.NDArray[np.bool_]:
        """Whether a symbol has a bar ``[session, symbol]``."""
        return np.isfinite(self.close)

    @property
    def listed(self) -> npt.NDArray[np.int64]:
        """Place of the first session with a bar, per symbol; the number of sessions where there is none."""
        has_bar = self.has_bar
        return np.where(has_bar.any(axis=0), has_bar.argmax(axis=0), len(self.sessions)).astype(np.int64)


def read_bars(lake: LakeReader, symbols: Sequence[str], first: datetime, now: datetime) -> BarPanel:
    """Read the bars of some symbols from a session on, as known at the market's now.

    Parameters
    ----------
    symbols
        Universe of the back-test.
    first
        First close at which a target is decided.

    Raises
    ------
    NotReadyError
        If none of the symbols has a bar in two sessions.
    """
    wanted = pl.col("symbol").is_in([*symbols, lake.market.index])
    is_near = pl.col("event_time") >= pl.lit(first - timedelta(days=WARM_UP_DAYS), BARS.schema["event_time"])
    rows = lake.read_as_of(BARS, now, where=wanted & is_near)
    actions = lake.read_as_of(ACTIONS, now, where=wanted) if lake.exists(ACTIONS) else ACTIONS.empty()
    return bar_panel(rows, actions, tuple(symbols), first, lake.market.delisted_after_bars)


def bar_panel(
    rows: pl.DataFrame, actions: pl.DataFrame, symbols: tuple[str, ...], first: datetime, delisted_after: int
) -> BarPanel:
    """Arrange rows of `bars` and `actions` by session and symbol.

    A symbol whose close as traded is known at every bar is held at prices as traded: its open, high and low are scaled
    by close as traded over adjusted close, its volume inversely, and its splits and dividends happen. Every other one
    is held at adjusted prices, in which they have happened already: dividends then count as reinvested.

    Parameters
    ----------
    rows
        Bars of `symbols`, and of the index if its sessions count too; those before `first` for the volatility.
    delisted_after
        Sessions of the market without a bar after which a symbol counts as delisted.
    """
    since = pl.lit(first, BARS.schema["event_time"])
    sessions = rows.filter(pl.col("event_time") >= since)["event_time"].unique().sort()
    own = rows.filter(pl.col("symbol").is_in(list(symbols)))
    if sessions.len() < 2 or own.is_empty():  # noqa: PLR2004 - one to decide, one to trade
        raise NotReadyError(
            f"There are {sessions.len()} sessions with bars from {first:%Y-%m-%d} on, expected 2 at least: one to "
            "decide and one to trade. Take in more bars with `quantlake update`."
        )
    is_traded = own.group_by("symbol").agg(
        (pl.col("close_traded").is_not_null().all() & (pl.col("price_basis") != "adjusted_close_only").all()).alias("t")
    )
    traded = set(is_traded.filter("t")["symbol"])
    factor = pl.when(pl.col("symbol").is_in(list(traded))).then(pl.col("close_traded") / pl.col("close")).otherwise(1.0)
    scaled = own.with_columns(
        *((pl.col(name) * factor).alias(name) for name in ("open", "high", "low", "close")),
        (pl.col("volume") / factor).alias("volume"),
        pl.col("close").alias("adjusted"),
    )
    every = rows["event_time"].unique().sort()
    grid = matrices(scaled, ("open", "high", "low", "close", "volume", "adjusted"), every, symbols)
    start = int(every.search_sorted(sessions[0]))
    volatility = _volatility(grid["adjusted"])
    within = {name: grid[name][start:] for name in ("open", "high", "low", "close", "volume")}
    ratio, dividend = _happened(
        actions.filter(pl.col("symbol").is_in(list(traded))), sessions, symbols, within["close"]
    )
    return BarPanel(
        symbols=symbols,
        sessions=tuple(sessions.to_list()),
        **within,
        volatility=volatility[start:],
        split_ratio=ratio,
        dividend=dividend,
        basis=tuple(AS_TRADED if symbol in traded else ADJUSTED for symbol in symbols),
        delisted=_delisted(np.isfinite(within["close"]), delisted_after),
    )


def matrices(
    rows: pl.DataFrame, names: Sequence[str], sessions: pl.Series, symbols: tuple[str, ...]
) -> dict[str, FloatArray]:
    """Return columns as arrays ``[session, symbol]``, NaN where there is no row."""
    places = rows.select(
        pl.col("event_time").replace_strict(sessions, pl.int_range(sessions.len(), eager=True), return_dtype=pl.Int64),
        pl.col("symbol").replace_strict(list(symbols), list(range(len(symbols))), return_dtype=pl.Int64),
    )
    found = {}
    for name in names:
        values = np.full((sessions.len(), len(symbols)), np.nan)
        column = rows[name].cast(pl.Float64).to_numpy()
        values[places["event_time"].to_numpy(), places["symbol"].to_numpy()] = column
        found[name] = values
    return found


def _volatility(adjusted: FloatArray) -> FloatArray:
    """Deviation of the last returns that were known one session earlier ``[session, symbol]``."""
    returns = np.full(adjusted.shape, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        returns[1:] = adjusted[1:] / adjusted[:-1] - 1
    found = np.full(adjusted.shape, STARTING_VOLATILITY)
    for place in range(1, len(adjusted)):
        window = returns[max(0, place - VOLATILITY_SESSIONS) : place]
        counts = np.isfinite(window).sum(axis=0)
        known = counts >= 2  # noqa: PLR2004 - a deviation needs two
        found[place, known] = np.nanstd(window[:, known], axis=0, ddof=1)
    return found


def _happened(
    actions: pl.DataFrame, sessions: pl.Series, symbols: tuple[str, ...], close: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Split ratios and dividends ``[session, symbol]``; what falls on a session without a bar happens at the next."""
    ratio, dividend = np.ones(close.shape), np.zeros(close.shape)
    has_bar = np.isfinite(close)
    ordered = actions.filter(pl.col("event_time") >= sessions[0]).sort("event_time")
    for symbol, at, kind, new, amount in ordered.select("symbol", "event_time", "kind", "ratio", "amount").iter_rows():
        column = symbols.index(symbol)
        first = int(sessions.search_sorted(at))
        if not has_bar[first:, column].any():
            continue
        place = first + int(has_bar[first:, column].argmax()), column
        if kind == "split":
            ratio[place] *= new
        else:
            dividend[place] += amount or 0.0
    return ratio, dividend


def _delisted(has_bar: npt.NDArray[np.bool_], delisted_after: int) -> npt.NDArray[np.int64]:
    """Place of the last bar of each symbol that has had none for longer than a halt lasts, else -1."""
    last = np.where(has_bar.any(axis=0), len(has_bar) - 1 - has_bar[::-1].argmax(axis=0), -1)
    missed = len(has_bar) - 1 - last
    return np.where((last >= 0) & (missed > delisted_after), last, -1).astype(np.int64)
