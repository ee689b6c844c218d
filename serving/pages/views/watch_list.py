"""View model of the watch list: rows found, the part that is shown, and what needs attention."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import polars as pl

from serving.api import WatchRow
from serving.forecasts import COVERAGE_TARGET
from serving.history import band_record
from serving.pages import formats
from serving.pages.views.bands import LEAST_OUTCOMES, Badge, ShownBand, badge_of, return_band
from serving.pages.views.signs import sign_of

ROWS = 50
ATTENTION_ROWS = 12
STALE_SESSIONS = 1
"""Closes of the market since the last bar of a symbol from which on it is stale."""
Order = Literal["symbol", "change", "forecast", "width", "held"]
ORDERS: tuple[Order, ...] = get_args(Order)
COUNTED = ("outcomes", "held", "sessions", "overlap")
SHARE = pl.when(pl.col("outcomes") >= LEAST_OUTCOMES).then(pl.col("held") / pl.col("outcomes"))
"""How often the band of a symbol held; null where too few of its answered forecasts have an outcome."""
RANKS = {
    "change": pl.col("change"),
    "forecast": pl.col("p50"),
    "width": pl.col("p90") - pl.col("p10"),
    "held": SHARE,
}
"""What each order but that of symbols sorts by, the largest first."""
Tell = Callable[[pl.DataFrame], Sequence[WatchRow]]


@dataclass(frozen=True)
class WatchLine:
    """One symbol, as it is printed; ``is_adjusted`` where the price as traded is not known and the other one stands."""

    symbol: str
    name: str
    last: str
    is_adjusted: bool
    change: str
    change_sign: int
    forecast: str
    band: ShownBand | None
    badge: Badge
    since_previous: str
    age: str
    is_stale: bool
    forecast_id: str | None


@dataclass(frozen=True)
class AttentionLine:
    """A symbol, and why somebody should look at it."""

    symbol: str
    reason: str


@dataclass(frozen=True)
class WatchListPart:
    """One part of a watch list.

    Parameters
    ----------
    lines
        Symbols of this part.
    found, total
        Symbols that the search found, and all.
    page, pages
        Number of the part, from 1, and how many there are.
    regime
        Of the market.
    attention, attention_total
        What needs attention among all symbols, the most pressing first, and how many there are.
    """

    lines: tuple[WatchLine, ...]
    found: int
    total: int
    page: int
    pages: int
    regime: str
    attention: tuple[AttentionLine, ...]
    attention_total: int


def watch_list(
    watched: pl.DataFrame, names: dict[str, str], tell: Tell, search: str = "", page: int = 1, order: Order = "symbol"
) -> WatchListPart:
    """Return the part of a watch list that is asked for.

    Parameters
    ----------
    watched
        Every symbol, as `serving.history.watched_symbols` returns it.
    names
        Names of instruments by symbol, as far as they are known.
    tell
        Makes the rows of some of `watched`; asked for the part that is shown alone.
    search
        Part of a symbol or of a name, in any case; empty finds all.
    page
        From 1; one beyond the end stands for the last.
    order
        Largest first, but for symbols.
    """
    wanted = search.strip().casefold()
    is_found = [wanted in name.casefold() or wanted in names.get(name, "").casefold() for name in watched["symbol"]]
    found = _sorted(watched.filter(pl.Series(is_found, dtype=pl.Boolean)), order, wanted)
    pages = max(-(-found.height // ROWS), 1)
    page = min(max(page, 1), pages)
    shown = tell(found.slice((page - 1) * ROWS, ROWS))
    pressing = _attention(watched)
    regime = watched["regime"][0] if watched.height else None
    return WatchListPart(
        lines=tuple(_line(row, names) for row in shown),
        found=found.height,
        total=watched.height,
        page=page,
        pages=pages,
        regime=formats.words(regime or formats.UNKNOWN),
        attention=tuple(pressing[:ATTENTION_ROWS]),
        attention_total=len(pressing),
    )


def _line(row: WatchRow, names: dict[str, str]) -> WatchLine:
    age = row.sessions_old
    return WatchLine(
        symbol=row.symbol,
        name=names.get(row.symbol, ""),
        last=formats.price(row.close if row.price_traded is None else row.price_traded),
        is_adjusted=row.price_traded is None and row.close is not None,
        change=formats.signed(row.change),
        change_sign=sign_of(row.change),
        forecast=formats.signed(row.p50, 2),
        band=return_band(row.p10, row.p90, row.band, row.band_in_replay),
        badge=badge_of(row.band, row.band_in_replay),
        since_previous=formats.points(row.since_previous, 2),
        age=formats.UNKNOWN if age is None else str(age),
        is_stale=age is not None and age >= STALE_SESSIONS,
        forecast_id=row.forecast_id,
    )


def _sorted(found: pl.DataFrame, order: Order, wanted: str) -> pl.DataFrame:
    """Sort by what is asked for; symbols that begin with the search come first."""
    if order == "symbol":
        begins = pl.Series([name.casefold().startswith(wanted) for name in found["symbol"]], dtype=pl.Boolean)
        return found.sort(begins, "symbol", descending=[True, False])
    return found.sort(RANKS[order], "symbol", descending=[True, False], nulls_last=True)


def _attention(watched: pl.DataFrame) -> list[AttentionLine]:
    """Return what needs attention: no forecast, stale bars, bands that held less often than they should."""
    found: list[tuple[float, AttentionLine]] = []
    for symbol, age, session in _of(watched, pl.col("sessions_old") >= STALE_SESSIONS, "sessions_old", "session"):
        reason = f"no bar for {formats.count(age, 'session')}, last on {formats.day(session)}"
        found.append((-age, AttentionLine(symbol, reason)))
    for (symbol,) in _of(watched, pl.col("forecast_id").is_null()):
        found.append((1.0, AttentionLine(symbol, "no forecast")))
    for symbol, outcomes, held, sessions, overlap in _of(watched, SHARE < COVERAGE_TARGET, *COUNTED):
        badge = badge_of(band_record(outcomes, held, sessions, overlap))
        if badge.kind == "too_narrow":
            found.append((2.0 + held / outcomes, AttentionLine(symbol, f"band {badge.words}")))
    return [line for _, line in sorted(found, key=lambda each: (each[0], each[1].symbol))]


def _of(watched: pl.DataFrame, is_meant: pl.Expr, *names: str) -> Iterator[tuple[Any, ...]]:
    """Symbol and some columns of the rows that are meant."""
    return watched.filter(is_meant).select("symbol", *names).iter_rows()
