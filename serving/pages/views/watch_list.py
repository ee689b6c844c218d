"""View model of the watch list: rows found, the part that is shown, and what needs attention."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from serving.api import WatchRow
from serving.pages import formats
from serving.pages.views.bands import Badge, ShownBand, badge_of, return_band
from serving.pages.views.signs import sign_of

ROWS = 50
ATTENTION_ROWS = 12
STALE_SESSIONS = 1
"""Closes of the market since the last bar of a symbol from which on it is stale."""
Order = Literal["symbol", "change", "forecast", "width", "held"]
ORDERS: tuple[Order, ...] = get_args(Order)


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
    rows: Sequence[WatchRow], names: dict[str, str], search: str = "", page: int = 1, order: Order = "symbol"
) -> WatchListPart:
    """Return the part of a watch list that is asked for.

    Parameters
    ----------
    rows
        Every symbol.
    names
        Names of instruments by symbol, as far as they are known.
    search
        Part of a symbol or of a name, in any case; empty finds all.
    page
        From 1; one beyond the end stands for the last.
    order
        Largest first, but for symbols.
    """
    wanted = search.strip().casefold()
    found = [row for row in rows if wanted in row.symbol.casefold() or wanted in names.get(row.symbol, "").casefold()]
    found = _sorted(found, order, wanted)
    pages = max(-(-len(found) // ROWS), 1)
    page = min(max(page, 1), pages)
    shown = found[(page - 1) * ROWS : page * ROWS]
    pressing = _attention(rows)
    return WatchListPart(
        lines=tuple(_line(row, names) for row in shown),
        found=len(found),
        total=len(rows),
        page=page,
        pages=pages,
        regime=formats.words(next((row.regime for row in rows if row.regime), formats.UNKNOWN)),
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


def _sorted(rows: list[WatchRow], order: Order, wanted: str) -> list[WatchRow]:
    """Sort by what is asked for; symbols that begin with the search come first."""
    if order == "symbol":
        return sorted(rows, key=lambda row: (not row.symbol.casefold().startswith(wanted), row.symbol))
    return sorted(rows, key=lambda row: (-_rank(row, order), row.symbol))


def _rank(row: WatchRow, order: Order) -> float:
    values = {
        "change": row.change,
        "forecast": row.p50,
        "width": None if row.p90 is None or row.p10 is None else row.p90 - row.p10,
        "held": row.band.held,
    }
    value = values[order]
    return float("-inf") if value is None else value


def _attention(rows: Sequence[WatchRow]) -> list[AttentionLine]:
    """Return what needs attention: no forecast, stale bars, bands that held less often than they should."""
    found: list[tuple[float, AttentionLine]] = []
    for row in rows:
        if row.sessions_old is not None and row.sessions_old >= STALE_SESSIONS:
            reason = f"no bar for {formats.count(row.sessions_old, 'session')}, last on {formats.day(row.session)}"
            found.append((-row.sessions_old, AttentionLine(row.symbol, reason)))
        if row.forecast_id is None:
            found.append((1.0, AttentionLine(row.symbol, "no forecast")))
        if (badge := badge_of(row.band)).kind == "too_narrow":
            found.append((2.0 + (row.band.held or 0.0), AttentionLine(row.symbol, f"band {badge.words}")))
    return [line for _, line in sorted(found, key=lambda each: (each[0], each[1].symbol))]
