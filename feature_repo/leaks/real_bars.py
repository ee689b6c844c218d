"""Real bars for a user's functions: whole histories of real symbols, replayed beside their largest moves."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from feature_repo.leaks import counterfactuals
from feature_repo.leaks.counterfactuals import Counterfactual
from feature_repo.leaks.world import World, releases_over
from lake.clock import DEMO_START
from lake.refine import refine_bars
from lake.sources import PackagedMarket
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

SYMBOLS = 30
"""Most symbols that are read of a lake with more: the index, the first and last by name, others with every session."""
ROWS = 120_000
"""Most bars; the oldest sessions are left out where the symbols have more."""
MOVES = 60
"""Most sessions of large moves at which it is replayed: the largest fall and the largest rise of each symbol."""
BACK = (1, 2, 5, 21)
"""How many sessions before the newest one it is replayed as well."""
RECENT = timedelta(days=14)
ON_REAL_BARS = " on real bars"


@dataclass(frozen=True)
class RealBars:
    """A real market's bars, and where it was taken from.

    Parameters
    ----------
    world
        Bars of whole histories, and made-up releases over the same sessions.
    origin
        As the command's output tells it.
    moves
        As `largest_moves` gives them.
    newest
        Instants shortly before the last.
    """

    world: World
    origin: str
    moves: tuple[datetime, ...]
    newest: tuple[datetime, ...]

    def others(self) -> list[Counterfactual]:
        """Return the other worlds: replayed at each instant, and the future cut off and disturbed over all rows."""
        at = sorted({*self.moves, *self.newest})
        cuts = [self.moves[0], self.newest[0]]
        found = [counterfactuals.replayed(self.world, at)]
        found += counterfactuals.other_futures(self.world, cuts[:1], futures=["cut off"])
        found += counterfactuals.other_futures(self.world, cuts[1:], futures=["cut off", "disturbed"])
        return [replace(one, how=one.how + ON_REAL_BARS) for one in found]

    def at_moves_of(self, symbols: Collection[str]) -> "RealBars":
        """Return the same bars, replayed at the largest moves of some symbols only."""
        chosen = self.world.bars.filter(pl.col("symbol").is_in(list(symbols)))
        return replace(self, moves=largest_moves(chosen))

    def sentence(self) -> str:
        """Say what was looked at."""
        symbols, sessions = self.world.bars["symbol"].n_unique(), self.world.sessions
        return (
            f"Real bars: {symbols} symbols {self.origin}, {len(sessions)} sessions from {sessions[0]:%Y-%m-%d} to "
            f"{sessions[-1]:%Y-%m-%d}; replayed at {len(self.moves)} sessions of their largest falls and rises and "
            f"{len(self.newest)} of the newest."
        )


def real_bars(lake: Lake | None = None, now: datetime | None = None) -> RealBars:
    """Return the bars that a lake holds at an instant, or where it holds none the packaged market's.

    Raises
    ------
    SourceError
        If there are none and the packages that carry the packaged market are not installed.
    """
    stored = None if lake is None or now is None or not lake.exists(BARS) else _stored(lake, now)
    if stored is None or stored.is_empty():
        return _packaged()
    return _with_instants(stored, "of the lake")


@cache
def _packaged() -> RealBars:
    raw = PackagedMarket().read(None, DEMO_START).rows
    return _with_instants(refine_bars(raw).bars.select(BARS.names), "of the packaged market")


def largest_moves(bars: pl.DataFrame) -> tuple[datetime, ...]:
    """Return when each symbol fell and rose most, the last session left out; the index first, then the largest."""
    change = (pl.col("close") / pl.col("close").shift(1)).log().over("symbol", order_by="event_time")
    inner = bars.with_columns(change.alias("change")).filter(pl.col("event_time") < pl.col("event_time").max())
    by_symbol = inner.drop_nulls("change").sort("change", "event_time").group_by("symbol", maintain_order=True)
    extremes = pl.concat([by_symbol.first(), by_symbol.last()])
    is_index, size = pl.col("symbol") == MARKET, pl.col("change").abs()
    ordered = extremes.sort(is_index, size, descending=True, maintain_order=True)["event_time"]
    return tuple(dict.fromkeys(ordered.to_list()))[:MOVES]


def named_as_generated(bars: pl.DataFrame, index: str) -> pl.DataFrame:
    """Return bars whose index goes by the name that it has in generated worlds, `MARKET`."""
    if index == MARKET:
        return bars
    return bars.with_columns(pl.col("symbol").replace({index: MARKET})).sort("symbol", "event_time", "known_time")


def _stored(lake: Lake, now: datetime) -> pl.DataFrame:
    index = lake.market.index
    recent = lake.read_as_of(BARS, now, where=pl.col("event_time") > now - RECENT)
    names = recent.filter(pl.col("symbol") != index)["symbol"].unique().sort().to_list()
    if len(names) < SYMBOLS:
        return named_as_generated(lake.read_as_of(BARS, now), index)
    others = np.random.default_rng(int(now.timestamp())).permutation(names[1:-1])[: SYMBOLS - 3].tolist()
    chosen = [index, names[0], names[-1], *others]
    return named_as_generated(lake.read_as_of(BARS, now, where=pl.col("symbol").is_in(chosen)), index)


def _with_instants(bars: pl.DataFrame, origin: str) -> RealBars:
    bars = bars.sort("event_time").tail(ROWS).sort("symbol", "event_time")
    sessions: list[Any] = bars["event_time"].unique().sort().to_list()
    newest = sorted({sessions[-1 - back] for back in BACK if back < len(sessions)})
    return RealBars(World(bars, releases_over(sessions)), origin, largest_moves(bars), tuple(newest))
