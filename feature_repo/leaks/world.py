"""A world to compute in: bars, and figures released and revised later. What was known of it then, and other futures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any

import numpy as np
import polars as pl

from lake.sources import tiny_market
from lake.spec import INSTANT
from lake.universe import MARKET

PRICES = ("open", "high", "low", "close")
RELEASES = {"series": pl.String(), "event_time": INSTANT, "known_time": INSTANT, "value": pl.Float64()}
"""Columns of figures about the economy: a period's figure has a row when it is released, and one per revision."""
SPLIT = 2.0
"""New shares per old one in the later split; a power of two, so that rescaling rounds nothing."""
RESTATED = 0.1
"""Share of past bars that a restatement changes."""
AFTERWARDS = timedelta(days=30)
"""How long after the last bar a restatement becomes known."""
A_YEAR = timedelta(days=365)
MOVES = (-0.6, 1.5, -0.4, 2 / 3, -0.2, 0.25, -0.12, 0.12)
"""Largest returns of single names, in crises and take-overs, down to a bad day's; what falls comes back."""
INDEX_MOVES = (-0.2, 0.25, -0.12, 0.12)
"""The S&P 500 lost 20.5 % on 1987-10-19."""
JUMP = min(abs(move) for move in MOVES)
"""Smallest of the moves."""
SESSIONS_PER_MOVE = 50


@dataclass(frozen=True)
class World:
    """What a computation may read.

    Parameters
    ----------
    bars
        In the columns of `bars`, one row per (symbol, event_time), the index's among them.
    releases
        In the columns `RELEASES`, one row per series, period and version.
    """

    bars: pl.DataFrame
    releases: pl.DataFrame

    @property
    def sessions(self) -> list[datetime]:
        """Closes of the bars, in order of time."""
        return self.bars["event_time"].unique().sort().to_list()

    @cached_property
    def in_order(self) -> pl.DataFrame:
        """The bars by symbol and time, sorted once."""
        return self.bars.sort("symbol", "event_time")

    @property
    def afterwards(self) -> datetime:
        """When a restatement becomes known that nothing here can have known."""
        last: Any = self.bars["event_time"].max()
        later: datetime = last + AFTERWARDS
        return later

    def until(self, cut: datetime) -> "World":
        """Return what was known at an instant."""
        return World(self.bars.filter(pl.col("event_time") <= cut), self.releases.filter(pl.col("known_time") <= cut))

    def with_names_exchanged(self) -> "World":
        """Return the same bars with the symbols' names in the opposite order, the index's left; twice is none."""
        names = self.bars.filter(pl.col("symbol") != MARKET)["symbol"].unique().sort().to_list()
        other = dict(zip(names, reversed(names), strict=True))
        return replace(self, bars=self.bars.with_columns(pl.col("symbol").replace(other)))

    def last_sessions(self, count: int) -> "World":
        """Return the world as it would be if the data began that many sessions before its end."""
        return replace(self, bars=self.bars.filter(pl.col("event_time") >= self.sessions[-count:][0]))


Change = Callable[[World, datetime, np.random.Generator], World]


def cut_off(world: World, cut: datetime, _: np.random.Generator) -> World:
    """Leave out everything after the cut."""
    return world.until(cut)


def disturbed(world: World, cut: datetime, random: np.random.Generator) -> World:
    """Multiply every number after the cut by a random factor of its own."""
    numbers = [name for name, dtype in world.bars.schema.items() if dtype.is_float()]
    return World(
        _scaled(world.bars, pl.col("event_time") > cut, numbers, random),
        _scaled(world.releases, pl.col("known_time") > cut, ["value"], random),
    )


def thinned_out(world: World, cut: datetime, random: np.random.Generator) -> World:
    """Leave out every other bar and release after the cut, at random."""

    def thin(frame: pl.DataFrame, time: str) -> pl.DataFrame:
        return frame.filter((pl.col(time) <= cut) | pl.Series(random.random(frame.height) < 1 / 2))

    return World(thin(world.bars, "event_time"), thin(world.releases, "known_time"))


def restated(world: World, cut: datetime, random: np.random.Generator) -> World:
    """Change a tenth of the bars of the year before the cut, and say that this became known after the last bar."""
    bars = world.bars
    is_chosen = pl.Series(random.random(bars.height) < RESTATED)
    chosen = (pl.col("event_time") <= cut) & (pl.col("event_time") > cut - A_YEAR) & is_chosen
    factor = pl.Series(random.lognormal(0, 0.1, bars.height))
    later = pl.lit(world.afterwards).cast(INSTANT)
    changes = [pl.when(chosen).then(pl.col(name) * factor).otherwise(name).alias(name) for name in (*PRICES, "volume")]
    known = pl.when(chosen).then(later).otherwise("known_time").alias("known_time")
    return replace(world, bars=bars.with_columns(*changes, known))


def rescaled(world: World, cut: datetime, _: np.random.Generator) -> World:
    """Rewrite the adjusted history up to the cut as if every symbol but the index had split right after it."""
    is_older = (pl.col("event_time") <= cut) & (pl.col("symbol") != MARKET)
    return replace(
        world,
        bars=world.bars.with_columns(
            *(pl.when(is_older).then(pl.col(name) / SPLIT).otherwise(name).alias(name) for name in PRICES),
            pl.when(is_older).then(pl.col("volume") * SPLIT).otherwise("volume").alias("volume"),
        ),
    )


def _scaled(frame: pl.DataFrame, chosen: pl.Expr, columns: list[str], random: np.random.Generator) -> pl.DataFrame:
    factors = {name: pl.Series(random.lognormal(0, 0.5, frame.height)) for name in columns}
    return frame.with_columns(
        pl.when(chosen).then(pl.col(name) * factors[name]).otherwise(name).alias(name) for name in columns
    )


@cache
def trial_world(sessions: int, symbols: tuple[str, ...] = ("AAA", "BBB", "CCC"), seed: int = 11) -> World:
    """Return a small seeded market in which what leaks hang on happens.

    Prices move by up to -60 and +150 % now and then; the first symbol misses sessions, the second has closes only at
    first and ends before the others, the third is listed late and splits; a figure about the economy is released and
    revised.
    """
    bars = tiny_market([*symbols, MARKET], sessions, seed)
    times = bars["event_time"].unique().sort().to_list()
    random = np.random.default_rng(seed)
    bars = _with_moves(bars, random)
    number = pl.col("event_time").rank("dense").cast(pl.Int64) - 1
    first, second, third = symbols[:3]
    bars = bars.with_columns(number.alias("number")).filter(
        ~((pl.col("symbol") == first) & (pl.col("number") % 97).is_in([40, 41, 42])),
        ~((pl.col("symbol") == second) & (pl.col("number") >= sessions - sessions // 20)),
        ~((pl.col("symbol") == third) & (pl.col("number") < sessions // 10)),
    )
    closes_only = (pl.col("symbol") == second) & (pl.col("number") < sessions // 8)
    before_split = (pl.col("symbol") == third) & (pl.col("number") < sessions // 2)
    bars = bars.with_columns(
        *(
            pl.when(closes_only).then(None).otherwise(name).alias(name)
            for name in ("open", "high", "low", "volume", "volume_unadjusted")
        ),
        pl.when(before_split).then(pl.col("close_unadjusted") * SPLIT).otherwise("close_unadjusted"),
    ).with_columns(
        pl.when(before_split).then(pl.col("volume_unadjusted") / SPLIT).otherwise("volume_unadjusted"),
    )
    return World(bars.drop("number"), _releases(times, random))


def eventful_sessions(world: World) -> list[datetime]:
    """Return the sessions at which something happens in a trial market, and one of five of the others.

    Something is: a large move, a first bar, a bar before the symbol misses a session or ends, before its first volume
    or its split, the end of a month.
    """
    close, time, factor = pl.col("close"), pl.col("event_time"), pl.col("close_unadjusted") / pl.col("close")
    number = time.rank("dense").cast(pl.Int64)
    is_event = (
        ((close / close.shift(1) - 1).abs() > 2 / 3 * JUMP)
        | close.shift(1).is_null()
        | (pl.col("number").shift(-1) != pl.col("number") + 1).fill_null(value=True)
        | (pl.col("volume").is_null() & pl.col("volume").shift(-1).is_not_null())
        | ((factor.shift(-1) / factor - 1).abs() > 1 / 2)
        | (time.dt.month() != time.shift(-1).dt.month())
        | (pl.col("number") % 5 == 0)
    )
    found = world.bars.with_columns(number.alias("number")).filter(is_event.over("symbol", order_by="event_time"))
    return found["event_time"].unique().sort().to_list()


def _with_moves(bars: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Let the prices of each symbol move in one session of fifty, the largest moves first of all, and stay there."""
    frames = []
    for (symbol,), own in bars.group_by("symbol", maintain_order=True):
        moves = INDEX_MOVES if symbol == MARKET else MOVES
        traded = np.arange(own.height * 3 // 20, own.height * 9 // 10)
        at = random.choice(traded, max(1, own.height // SESSIONS_PER_MOVE), replace=False)
        factors = np.ones(own.height)
        factors[at] += np.resize(moves, at.size)
        level = pl.Series(np.cumprod(factors))
        frames.append(own.with_columns(pl.col(name) * level for name in (*PRICES, "close_unadjusted")))
    return pl.concat(frames)


def releases_over(times: Sequence[datetime], seed: int = 0) -> pl.DataFrame:
    """Return figures about an economy that never was, released and revised over given sessions."""
    return _releases(times, np.random.default_rng(seed))


def _releases(times: Sequence[datetime], random: np.random.Generator) -> pl.DataFrame:
    """A figure per 21 sessions, released 10 sessions after its period and revised 15 sessions later still."""
    rows = []
    for end in range(0, len(times), 21):
        value = float(random.normal(2.0, 1.0))
        for version, delay in enumerate((10, 25)):
            if end + delay < len(times):
                rows.append(("growth", times[end], times[end + delay], value + 0.5 * version * float(random.normal())))
    return pl.DataFrame(rows, schema=RELEASES, orient="row")
