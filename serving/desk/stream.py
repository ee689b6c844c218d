"""The stream of bars that paper orders are filled on: sessions that have closed, from the tables, as traded."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lake import calendars
from lake.execution import TradedBar
from lake.membership import universe_at
from serving.backtest import ADJUSTED, BarPanel, read_bars, traded_market

if TYPE_CHECKING:
    from lake.store import LakeReader

SAME_PRICE = 1e-6
"""Relative difference up to which a close that is read again is the same."""


def desk_universe(lake: "LakeReader", now: datetime) -> tuple[str, ...]:
    """Return the symbols of the market now, in order, without its index."""
    market = lake.market
    return tuple(sorted(symbol for symbol in universe_at(lake, market.name, now) if symbol != market.index))


class BarStream:
    """Sessions of the market that have closed and have bars, as known now.

    Bars without a volume have the declared one. A bar that has only a close is open, high and low at it, so orders for
    such symbols are for the close. Where a source adjusts its past prices, what it changed the last close by counts as
    a split: holders then have so many shares more, and no gain or loss follows from the change of units.

    Parameters
    ----------
    lake
        Tables that are read.
    now
        Market time: nothing that became known later is read.
    declared_daily_value
        Money traded a day in a symbol whose bars have no volume.
    """

    def __init__(self, lake: "LakeReader", now: datetime, declared_daily_value: float) -> None:
        self._lake, self._now, self._declared = lake, now, declared_daily_value

    def __call__(self, after: datetime, closes: Mapping[str, float]) -> Sequence[tuple[datetime, Sequence[TradedBar]]]:
        """Return the sessions after an instant, the oldest first, each with its bars; a session without any waits."""
        market = self._lake.market
        until = self._now - market.decided_after
        if not calendars.session_closes(after, until, market.grid):
            return []
        symbols = tuple(sorted({*desk_universe(self._lake, self._now), *closes}))
        allowed = market.delisted_after_bars
        first = calendars.close_before(after, allowed + 2, market.grid) or after
        panel = read_bars(self._lake, symbols, first, self._now)
        traded = traded_market(panel, self._declared)
        sessions = []
        for place, time in enumerate(traded.times):
            if not after < time <= until:
                continue
            bars = [bar._replace(ending="") for bar in traded.bars_at(place)]
            if place and traded.times[place - 1] == after:
                bars = _in_units_of(closes, bars, panel, place - 1)
            sessions.append((time, [*bars, *_endings(closes, panel, place, allowed)]))
        return sessions


def _in_units_of(
    closes: Mapping[str, float], bars: Sequence[TradedBar], panel: BarPanel, before: int
) -> list[TradedBar]:
    """Return bars with a split where the source has changed the units of the close that is held at."""
    again = dict(zip(panel.symbols, panel.close[before].tolist(), strict=True))
    adjusted = {symbol for symbol, basis in zip(panel.symbols, panel.basis, strict=True) if basis == ADJUSTED}
    found = []
    for bar in bars:
        change = closes.get(bar.symbol, math.nan) / again[bar.symbol]
        is_rebased = bar.symbol in adjusted and abs(change - 1) > SAME_PRICE
        found.append(bar._replace(split=change) if is_rebased else bar)
    return found


def _endings(closes: Mapping[str, float], panel: BarPanel, place: int, allowed: int) -> list[TradedBar]:
    """Return a last bar, without trade, of each symbol that counts as delisted from this session on."""
    found = []
    for number, symbol in enumerate(panel.symbols):
        has_bar = panel.has_bar[: place + 1, number]
        last = place - int(has_bar[::-1].argmax()) if has_bar.any() else -1
        if symbol in closes and last >= 0 and place - last == allowed + 1:
            price = closes[symbol]
            time = panel.sessions[place]
            found.append(TradedBar(symbol, time, price, price, price, price, is_halted=True, ending="delisted"))
    return found
