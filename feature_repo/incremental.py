"""What an update of the features must compute again, and the bars it must read for that. Reads; writes nothing.

A bar that is new, late or restated touches the rows of its symbol from its own close on; a bar of the index touches
the rows of every symbol from its close on. Each row is computed from the bars of its symbol that its features reach
back to (`FeatureGroup.warm_up`, after which a recursion has forgotten its start to a relative 1e-9) and from the whole
index. Symbols with unknown values among these bars are read whole, because a recursion that passes values over
remembers longer.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.compute import BAR_COLUMNS
from feature_repo.panel import compute_group
from feature_repo.spec import FeatureGroup
from lake.stamps import Seen
from lake.store import Lake
from lake.tables import BARS
from lake.tails import KEY, newest_known, rows_around
from lake.universe import MARKET

if TYPE_CHECKING:
    from datetime import datetime

VALUES_AT_ONCE = 40_000_000
"""Feature values held in memory at a time; more are computed in chunks of symbols."""


def touched_from(lake: Lake, changed: pl.DataFrame, read: Seen, *, market: str = MARKET) -> pl.DataFrame:
    """Return ``symbol, first``: the earliest close of each symbol whose features the changed bars touch.

    Parameters
    ----------
    changed
        Bars that are new or became known.
    read
        Version of `bars` and instant of the run.
    """
    first = changed.group_by("symbol").agg(pl.col("event_time").min().alias("first"))
    index = first.filter(pl.col("symbol") == market)["first"]
    own = first.filter(pl.col("symbol") != market)
    if index.is_empty():
        return own.sort("symbol")
    since: datetime = index.item()
    known = pl.col("known_time") <= read.now
    rows = lake.scan(BARS, version=read.version).filter(
        known, pl.col("event_time") >= since, pl.col("symbol") != market
    )
    moved = rows.group_by("symbol").agg(pl.col("event_time").min().alias("first")).collect()
    return pl.concat([own, moved]).group_by("symbol").agg(pl.col("first").min()).sort("symbol")


def recompute(
    lake: Lake,
    group: FeatureGroup,
    first: pl.DataFrame,
    read: Seen,
    *,
    market: str = MARKET,
    values_at_once: int = VALUES_AT_ONCE,
) -> Iterator[pl.DataFrame]:
    """Compute the rows of a group from each symbol's instant on, in chunks of symbols.

    Yields
    ------
    pl.DataFrame
        In the columns of the group's table. `known_time` is the latest among all bars of the symbol and of the index
        up to the row, those that were not read again included.
    """
    index = _read_index(lake, read, market)
    known = _known_before(lake, first, read)
    symbols = max(1, values_at_once // ((group.warm_up + 1) * len(group.features)))
    for chunk in first.sort("symbol").iter_slices(symbols):
        bars = bars_for(lake, group, chunk, read)
        rows = compute_group(pl.concat([bars, index.select(bars.columns)]), group, market=market)
        rows = rows.join(chunk, on="symbol", maintain_order="left").filter(pl.col("event_time") >= pl.col("first"))
        rows = rows.join(known, on="symbol", how="left", maintain_order="left").with_columns(
            pl.max_horizontal("known_time", "known_before").alias("known_time")
        )
        yield rows.select(group.table.names)


def compute_whole(
    lake: Lake, group: FeatureGroup, read: Seen, *, market: str = MARKET, values_at_once: int = VALUES_AT_ONCE
) -> Iterator[pl.DataFrame]:
    """Compute every row of a group from all bars, in chunks of symbols of about `values_at_once` values."""
    index = _read_index(lake, read, market)
    own = _known_bars(lake, read).filter(pl.col("symbol") != market)
    counts = own.group_by("symbol").len().sort("symbol").collect()
    size = counts["len"].cum_sum() * len(group.features) // values_at_once
    names = _columns(group)
    for chunk in counts.with_columns(size.alias("chunk")).partition_by("chunk", maintain_order=True):
        low, high = chunk["symbol"][0], chunk["symbol"][-1]
        rows = own.filter(pl.col("symbol").is_between(pl.lit(low), pl.lit(high))).select(names).collect()
        yield compute_group(pl.concat([newest_known(rows), index.select(names)]), group, market=market)


def bars_for(lake: Lake, group: FeatureGroup, first: pl.DataFrame, read: Seen) -> pl.DataFrame:
    """Bars of some symbols from their instant on, and as many before it as the group's features reach back to."""
    names = _columns(group)
    bars = rows_around(lake, BARS, first, group.warm_up, now=read.now, version=read.version, columns=names)
    partly = _partly_unknown(bars, [name for name in names if name not in KEY])
    if partly.is_empty():
        return bars
    whole = _known_bars(lake, read).filter(pl.col("symbol").is_in(partly.implode())).select(names).collect()
    return pl.concat([bars.filter(~pl.col("symbol").is_in(partly.implode())), newest_known(whole)])


def _partly_unknown(bars: pl.DataFrame, names: Sequence[str]) -> pl.Series:
    """Symbols with a column that is known in some of these rows and unknown in others."""
    gaps = [name for name in names if bars[name].null_count()]
    if not gaps:
        return bars["symbol"].head(0)
    nulls = bars.group_by("symbol").agg(pl.col(gaps).null_count(), pl.len().alias("rows"))
    is_partly = pl.any_horizontal(pl.col(name).is_between(1, pl.col("rows") - 1) for name in gaps)
    return nulls.filter(is_partly)["symbol"]


def _read_index(lake: Lake, read: Seen, market: str) -> pl.DataFrame:
    return newest_known(_known_bars(lake, read).filter(pl.col("symbol") == market).collect())


def _known_before(lake: Lake, first: pl.DataFrame, read: Seen) -> pl.DataFrame:
    """Latest known_time among each symbol's bars before its instant, where it is later than the instant itself."""
    earliest: datetime | None = first.select(pl.col("first").min()).item()
    late = _known_bars(lake, read).filter(pl.col("known_time") >= earliest, pl.col("known_time") > pl.col("event_time"))
    told = late.select(KEY).join(first.lazy(), on="symbol").filter(pl.col("event_time") < pl.col("first"))
    return told.group_by("symbol").agg(pl.col("known_time").max().alias("known_before")).collect()


def _known_bars(lake: Lake, read: Seen) -> pl.LazyFrame:
    return lake.scan(BARS, version=read.version).filter(pl.col("known_time") <= read.now)


def _columns(group: FeatureGroup) -> list[str]:
    asked = {name for feature in group.features for name in feature.inputs}
    return [name for name in BARS.names if name in KEY or name in asked & set(BAR_COLUMNS) or name == "close"]
