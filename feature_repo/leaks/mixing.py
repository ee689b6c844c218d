"""Functions that read the bars of the next symbol by mistake, told from those that look ahead."""

from collections.abc import Collection
from dataclasses import replace

import polars as pl

from feature_repo.leaks.comparing import differences
from feature_repo.leaks.subject import LeakSubject, check
from feature_repo.leaks.world import World
from lake.errors import QuantlakeError

KEY = ("symbol", "event_time")
REPLAYED = 20
"""Sessions that are replayed one by one of the symbols apart; the other futures are those of every check."""


def mixing_columns(
    function: LeakSubject, world: World, whole: pl.DataFrame, suspects: Collection[str]
) -> frozenset[str]:
    """Return the suspects that are wrong only because a symbol's first rows read the bars of the symbol before it.

    Such a column sees nothing ahead once every symbol is computed by itself, and the first symbol, which has none
    before it, has the same values then. Both must hold: a column that looks ahead in any other way stays a leak.

    Parameters
    ----------
    function
        A function of a user's file.
    world, whole
        What it was checked in, and its answer there.
    suspects
        Leaking columns that depend on the order or the names of the symbols.
    """
    apart = replace(function, compute=lambda one: _symbol_by_symbol(function, one))
    try:
        alone = apart.compute(world)
        ahead = check(apart, world, replayed=REPLAYED).leaking
    except QuantlakeError:  # it needs the other symbols, so that it mixes them on purpose
        return frozenset()
    first = pl.col("symbol") == world.in_order["symbol"][0]
    changed = differences(whole.filter(first), alone.filter(first), "apart", world.sessions[-1], KEY)
    return frozenset(suspects) - {*ahead} - {leak.column for leak in changed}


def _symbol_by_symbol(function: LeakSubject, world: World) -> pl.DataFrame:
    """The answers of a function that is given one symbol at a time, one below the other."""
    each = [replace(world, bars=bars) for bars in world.in_order.partition_by("symbol", maintain_order=True)]
    return pl.concat([function.compute(one) for one in each])
