"""Does a computation see the future? Cut the future off, disturb it, and look whether the past moves."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from feature_repo.compute.market import MARKET_SESSIONS
from feature_repo.leaks import world as worlds
from feature_repo.leaks.comparing import Closeness, Leak, differences
from feature_repo.leaks.world import Change, World
from lake.errors import LookAheadError
from lake.universe import MARKET

SHOWN = 5
"""How many leaking columns an error names."""
UNITS = Closeness(relative=1e-3, floor=1e-3)
"""A split changes a price level by half. What is free of the scale may still hold a volume + 1, as Alpha158 does."""
SETTLED = Closeness(floor=1e-3)
"""A history that begins elsewhere adds in another order: below this size numbers are compared by their difference."""

Compute = Callable[[pl.DataFrame], pl.DataFrame]
Computation = Callable[[World], pl.DataFrame]

FUTURES: dict[str, Change] = {
    "cut off": worlds.cut_off,
    "disturbed": worlds.disturbed,
    "thinned out": worlds.thinned_out,
}
"""Other futures, by what is done to them."""


def find_leaks(
    compute: Compute,
    bars: pl.DataFrame,
    cuts: Sequence[datetime],
    *,
    key: Sequence[str] = ("symbol", "event_time"),
    seed: int = 0,
) -> list[Leak]:
    """Compare what is computed for the past under different futures.

    At each cut the bars after it are left out, multiplied by random factors, and thinned out at random; every row at or
    before the cut must keep its value, its nulls and its existence. A leak that acts only on some rows is seen when a
    cut falls beside one of them: choose consecutive sessions over a few weeks, and some far apart, or `replay` all.

    Parameters
    ----------
    compute
        Bars to a frame with the key columns and any others; called three times per cut and once on all bars.
    bars
        Bars as of one instant.
    cuts
        Instants; bars closing exactly then belong to the past.
    seed
        Of the disturbed futures.

    Returns
    -------
    list[Leak]
        Empty when nothing leaks, else at most one per column and kind of future.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> bars = tiny_market(["AAA"], sessions=30, seed=1)
    >>> def shifted(by):
    ...     close = pl.col("close").shift(by).over("symbol").alias("other_close")
    ...     return lambda bars: bars.sort("event_time").select("symbol", "event_time", close)
    >>> cut = bars["event_time"].sort()[20]
    >>> find_leaks(shifted(1), bars, [cut])
    []
    >>> sorted((leak.column, leak.how) for leak in find_leaks(shifted(-1), bars, [cut]))
    [('other_close', 'cut off'), ('other_close', 'disturbed')]
    """
    world = World(bars, pl.DataFrame(schema=worlds.RELEASES))
    return under_other_futures(lambda other: compute(other.bars), world, cuts, key=key, seed=seed)


def require_causal(compute: Compute, bars: pl.DataFrame, cuts: Sequence[datetime], **options: Any) -> None:
    """Raise where a computation sees the future; the options are those of `find_leaks`.

    Raises
    ------
    LookAheadError
        Naming the columns, the cut and an example of a value that changed.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> bars = tiny_market(["AAA"], sessions=30, seed=1)
    >>> require_causal(lambda bars: bars.select("symbol", "event_time", "close"), bars, [bars["event_time"][20]])
    """
    leaks = find_leaks(compute, bars, cuts, **options)
    if leaks:
        examples = "; ".join(
            f"'{leak.column}' when the future was {leak.how}, e.g. {leak.example}" for leak in leaks[:SHOWN]
        )
        raise LookAheadError(
            f"{len({leak.column for leak in leaks})} columns change in the past when only the future does: {examples}. "
            "Use only bars up to and including t."
        )


def under_other_futures(
    compute: Computation,
    world: World,
    cuts: Iterable[datetime],
    *,
    key: Sequence[str],
    time: str = "event_time",
    futures: Iterable[str] = tuple(FUTURES),
    full: pl.DataFrame | None = None,
    seed: int = 0,
) -> list[Leak]:
    """Return what changes up to a cut when the world after it is another one; see `find_leaks`.

    Parameters
    ----------
    time
        Column that says from when on a row's values are claimed to be known; rows up to the cut are compared.
    futures
        Names in `FUTURES`.
    full
        What `compute` gives for the whole world, where that is known already.
    """
    full = compute(world) if full is None else full
    random = np.random.default_rng(seed)
    known = pl.col(time)
    found: dict[tuple[str, str], Leak] = {}
    for cut in cuts:
        for how in futures:
            other = compute(FUTURES[how](world, cut, random))
            for leak in differences(full.filter(known <= cut), other.filter(known <= cut), how, cut, key, time=time):
                found.setdefault((leak.column, how), leak)
    return list(found.values())


def replay(
    compute: Computation,
    world: World,
    at: Sequence[datetime],
    *,
    key: Sequence[str],
    time: str = "event_time",
    full: pl.DataFrame | None = None,
) -> list[Leak]:
    """Compute at each instant from what was known then, and compare the rows of that instant with the whole frame's.

    Returns
    -------
    list[Leak]
        One per column; `first` is the first instant at which the value then is not the value of the whole frame.
    """
    full = compute(world) if full is None else full
    replayed = pl.concat([compute(world.until(now)).filter(pl.col(time) == now) for now in at])
    seen = full.filter(pl.col(time).is_in(pl.Series(at, dtype=full.schema[time]).implode()))
    return differences(seen, replayed, "replayed", at[-1], key, time=time)


def under_restatement(
    compute: Computation, world: World, cut: datetime, *, key: Sequence[str], full: pl.DataFrame, seed: int = 0
) -> list[Leak]:
    """Return what a bar restated after the last close changes in rows that claim to be known before it was."""
    if "known_time" not in full.columns:
        return []
    later = world.afterwards
    other = compute(worlds.restated(world, cut, np.random.default_rng(seed)))
    claims_earlier = other.filter(pl.col("known_time") < later)
    same = full.join(claims_earlier.select(key), on=list(key), how="semi")
    return differences(same, claims_earlier, "restated", cut, key)


def under_a_later_split(
    compute: Computation,
    world: World,
    cut: datetime,
    *,
    key: Sequence[str],
    time: str = "event_time",
    full: pl.DataFrame,
    levels: Iterable[str] = (),
) -> list[Leak]:
    """Return what changes when a later split rescales the adjusted prices of the past; `levels` are meant to."""
    other = compute(worlds.rescaled(world, cut, np.random.default_rng(0)))
    is_past = pl.col(time) <= cut
    columns = [name for name in full.columns if name not in {*key, *levels}]
    return differences(
        full.filter(is_past),
        other.filter(is_past),
        "rescaled",
        cut,
        key,
        time=time,
        closeness=UNITS,
        columns=columns,
    )


def since_warm_up(
    compute: Computation,
    world: World,
    cut: datetime,
    warm_ups: Mapping[str, int],
    *,
    key: Sequence[str],
    full: pl.DataFrame,
) -> list[Leak]:
    """Return what is not the value of the full history when each symbol has its declared number of bars only.

    The index is context and has as many sessions more as its own volatility looks back on.
    """
    known = world.until(cut)
    leaks = []
    symbols = known.bars.filter(pl.col("event_time") == cut, pl.col("symbol") != MARKET)["symbol"].to_list()
    for bars in sorted({*warm_ups.values()}):
        names = [name for name, needed in warm_ups.items() if needed == bars]
        for symbol in symbols:
            own = known.bars.filter(pl.col("symbol") == symbol).sort("event_time").tail(bars)
            before = known.bars.filter(pl.col("event_time") < own["event_time"][0])["event_time"].unique().sort()
            first = [*before.tail(MARKET_SESSIONS), own["event_time"][0]][0]
            index = (pl.col("symbol") == MARKET) & (pl.col("event_time") >= first)
            short = pl.concat([own, known.bars.filter(index)])
            is_last = (pl.col("event_time") == cut) & (pl.col("symbol") == symbol)
            last = compute(World(short, known.releases)).filter(is_last)
            leaks += differences(full.filter(is_last), last, "warmed up", cut, key, closeness=SETTLED, columns=names)
    return leaks
