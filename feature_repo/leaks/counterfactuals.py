"""Other worlds in which the same rows must come out: what is computed in each, and how the answers are compared."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import polars as pl

from feature_repo.compute.market import MARKET_SESSIONS
from feature_repo.leaks import world as worlds
from feature_repo.leaks.comparing import EXACT, Closeness, Leak, differences
from feature_repo.leaks.world import Change, World
from lake.universe import MARKET

UNITS = Closeness(relative=1e-3, floor=1e-3)
"""A split changes a price level by half. What is free of the scale may still hold a volume + 1, as Alpha158 does."""
SETTLED = Closeness(floor=1e-3)
"""A history that begins elsewhere adds in another order: below this size numbers are compared by their difference."""
AN_INSTANT = timedelta(microseconds=1)

CUT_OFF = "cut off"
FUTURES: dict[str, Change] = {
    CUT_OFF: worlds.cut_off,
    "disturbed": worlds.disturbed,
    "thinned out": worlds.thinned_out,
}
"""Other futures, by what is done to them."""


@dataclass(frozen=True)
class KeptRows:
    """Rows of an answer that are compared: those whose `time` lies in ``[since, until]``; None leaves an end open.

    An answer without the column `time` has none of them.
    """

    time: str
    until: datetime | None = None
    since: datetime | None = None
    symbol: str | None = None

    def of(self, answer: pl.DataFrame) -> pl.DataFrame:
        """Return these rows."""
        if self.time not in answer.columns:
            return answer.clear()
        tests = [] if self.since is None else [pl.col(self.time) >= self.since]
        tests += [] if self.until is None else [pl.col(self.time) <= self.until]
        tests += [] if self.symbol is None else [pl.col("symbol") == self.symbol]
        return answer.filter(*tests)

    def to_text(self) -> str:
        """Return the rows asked for as text, for another process."""
        ends = [None if end is None else end.isoformat() for end in (self.until, self.since)]
        return json.dumps([self.time, *ends, self.symbol])

    @classmethod
    def from_text(cls, text: str) -> "KeptRows":
        """Return what `to_text` was given."""
        time, *ends, symbol = json.loads(text)
        until, since = (None if end is None else datetime.fromisoformat(end) for end in ends)
        return cls(time, until, since, symbol)


@dataclass(frozen=True)
class WorldPart:
    """One world, as it was known at `until`, and the rows of its answer that are compared."""

    base: World
    kept: KeptRows
    until: datetime | None = None

    @property
    def world(self) -> World:
        """The world that is computed in."""
        return self.base if self.until is None else self.base.until(self.until)


@dataclass(frozen=True)
class Counterfactual:
    """Worlds whose answers must agree with the whole world's.

    Parameters
    ----------
    how
        As a `Leak` names it.
    parts
        Each world, and the rows of its answer that are compared; the answers are compared as one frame.
    columns
        The only columns that are compared; all when None.
    except_for
        Columns that are not compared.
    is_claim
        The rows kept are those of the other answer alone: those of the whole answer with the same keys are compared.
    """

    how: str
    cut: datetime
    parts: tuple[WorldPart, ...]
    closeness: Closeness = EXACT
    columns: tuple[str, ...] | None = None
    except_for: frozenset[str] = frozenset()
    is_claim: bool = False

    def judge(self, full: pl.DataFrame, other: pl.DataFrame, key: Sequence[str], time: str) -> list[Leak]:
        """Return a leak per column in which the other worlds' rows are not the whole world's."""
        columns = [name for name in self.columns or full.columns if name not in {*key, *self.except_for}]
        same = full.join(other.select(key), on=list(key), how="semi") if self.is_claim else self._same(full, time)
        return differences(same, other, self.how, self.cut, key, time=time, closeness=self.closeness, columns=columns)

    def _same(self, full: pl.DataFrame, time: str) -> pl.DataFrame:
        """Return the rows of the whole answer that the other worlds' are compared with."""
        instants = [part.until for part in self.parts]
        if None not in instants:
            return full.filter(pl.col(time).is_in(pl.Series(instants, dtype=full.schema[time]).implode()))
        return pl.concat([part.kept.of(full) for part in self.parts])


Answers = Callable[[Sequence[WorldPart]], pl.DataFrame]
"""Computes in each world, in the order given, and returns the kept rows one below the other."""


def in_this_process(compute: Callable[[World], pl.DataFrame]) -> Answers:
    """Return answers of a function that keeps no state: one call after another."""
    return lambda parts: pl.concat([part.kept.of(compute(part.world)) for part in parts], how="vertical_relaxed")


def compare(
    counterfactuals: Iterable[Counterfactual],
    world: World,
    answers: Answers,
    *,
    key: Sequence[str],
    time: str = "event_time",
) -> tuple[pl.DataFrame, list[Leak]]:
    """Compute in every other world first and in the whole world last, so that no state of the whole helps the others.

    Returns
    -------
    tuple[pl.DataFrame, list[Leak]]
        The whole world's answer; a leak per column and `how`, that of the first cut.
    """
    others = [(one, answers(one.parts)) for one in counterfactuals]
    full = answers([WorldPart(world, KeptRows(time))])
    found: dict[tuple[str, str], Leak] = {}
    for one, other in others:
        for leak in one.judge(full, other, key, time):
            found.setdefault((leak.column, leak.how), leak)
    return full, [*found.values()]


def replayed(world: World, at: Sequence[datetime], time: str = "event_time") -> Counterfactual:
    """At each instant what was known then; the rows of that instant are compared."""
    parts = tuple(WorldPart(world, KeptRows(time, until=now, since=now), now) for now in sorted(at))
    return Counterfactual("replayed", max(at), parts)


def other_futures(
    world: World,
    cuts: Iterable[datetime],
    *,
    time: str = "event_time",
    futures: Iterable[str] = tuple(FUTURES),
    seed: int = 0,
) -> list[Counterfactual]:
    """At each cut the future cut off, disturbed and thinned out; every row known up to the cut is compared."""
    random = np.random.default_rng(seed)
    return [
        Counterfactual(how, cut, (WorldPart(FUTURES[how](world, cut, random), KeptRows(time, until=cut)),))
        for cut in cuts
        for how in futures
    ]


def restated(world: World, cut: datetime, seed: int = 0) -> Counterfactual:
    """Bars restated after the last close; rows that claim to be known before then are compared."""
    other = worlds.restated(world, cut, np.random.default_rng(seed))
    earlier = KeptRows("known_time", until=world.afterwards - AN_INSTANT)
    return Counterfactual("restated", cut, (WorldPart(other, earlier),), is_claim=True)


def rescaled(world: World, cut: datetime, time: str = "event_time", levels: Iterable[str] = ()) -> Counterfactual:
    """Adjusted prices of the past rescaled by a later split; `levels` are meant to change with them."""
    other = worlds.rescaled(world, cut, np.random.default_rng(0))
    return Counterfactual(
        "rescaled", cut, (WorldPart(other, KeptRows(time, until=cut)),), closeness=UNITS, except_for=frozenset(levels)
    )


def warmed_up(world: World, cut: datetime, warm_ups: Mapping[str, int]) -> list[Counterfactual]:
    """Each symbol with its declared number of bars only; its row at the cut is compared.

    The index is context and has as many sessions more as its own volatility looks back on.
    """
    known = world.until(cut)
    symbols = known.bars.filter(pl.col("event_time") == cut, pl.col("symbol") != MARKET)["symbol"].to_list()
    found = []
    for bars in sorted({*warm_ups.values()}):
        names = tuple(name for name, needed in warm_ups.items() if needed == bars)
        parts = tuple(
            WorldPart(_last_bars(known, symbol, bars), KeptRows("event_time", cut, cut, symbol)) for symbol in symbols
        )
        found.append(Counterfactual("warmed up", cut, parts, closeness=SETTLED, columns=names))
    return found


def _last_bars(known: World, symbol: str, bars: int) -> World:
    own = known.bars.filter(pl.col("symbol") == symbol).sort("event_time").tail(bars)
    before = known.bars.filter(pl.col("event_time") < own["event_time"][0])["event_time"].unique().sort()
    first = [*before.tail(MARKET_SESSIONS), own["event_time"][0]][0]
    index = (pl.col("symbol") == MARKET) & (pl.col("event_time") >= first)
    return World(pl.concat([own, known.bars.filter(index)]), known.releases)
