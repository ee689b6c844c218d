"""Does a computation see the future? Cut the future off, disturb it, and look whether the past moves."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import polars as pl

from feature_repo.leaks import counterfactuals
from feature_repo.leaks.comparing import Leak
from feature_repo.leaks.counterfactuals import compare, in_this_process
from feature_repo.leaks.world import RELEASES, World
from lake.errors import LookAheadError

SHOWN = 5
"""How many leaking columns an error names."""

Compute = Callable[[pl.DataFrame], pl.DataFrame]


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
        Bars to a frame with the key columns and any others; called three times per cut, and last on all bars.
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
    [('other_close', 'cut off'), ('other_close', 'disturbed'), ('other_close', 'thinned out')]
    """
    world = World(bars, pl.DataFrame(schema=RELEASES))
    futures = counterfactuals.other_futures(world, cuts, seed=seed)
    _, leaks = compare(futures, world, in_this_process(lambda other: compute(other.bars)), key=key)
    return leaks


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
