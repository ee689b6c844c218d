"""What an update of the features must compute again, and the bars it must read for that. Reads; writes nothing.

A bar that is new, late or restated touches the rows of its symbol from its own close on; a bar of the index touches
the rows of every symbol from its close on. Each row is computed from the bars of its symbol that its features reach
back to (`FeatureGroup.warm_up`, after which a recursion has forgotten its start to a relative 1e-9) and from the whole
index. Symbols with unknown values among these bars are read whole, because a recursion that passes values over
remembers longer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.compute import IS_ASKED
from feature_repo.compute.fitted import Fits
from feature_repo.engines import (
    VALUES_AT_ONCE,
    bar_columns,
    compute_arrays,
    compute_group,
    kept_fits,
    known_bars,
    nullable,
    read_index,
)
from feature_repo.materialize.recent_rows import (
    CACHED_VALUES,
    RECENT_BAR_COLUMNS,
    ReadPoint,
    RecentRows,
    Rows,
    ranges,
    recent_rows_of,
)
from feature_repo.spec import Feature, FeatureGroup
from lake.market import Market
from lake.spec import INSTANT
from lake.store import ROW_KEY, Lake, Watermark, newest_known
from lake.tables import BARS

if TYPE_CHECKING:
    from datetime import datetime

    from feature_repo.compute.kernel import Bars

NEARLY = 0.7
"""Features that need this part of the bars of others are computed over the same ones."""
STILL = 60
"""Bars without a move after which a recursion has lost the digits of what moved before."""


def touched_from(lake: Lake, changed: pl.DataFrame, read: Watermark) -> pl.DataFrame:
    """Return ``symbol, first``: the earliest close of each symbol whose features the changed bars touch.

    Parameters
    ----------
    changed
        Bars that are new or became known.
    read
        Version of `bars` and instant of the run.
    """
    market = lake.market.index
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
    read: Watermark,
    *,
    values_at_once: int = VALUES_AT_ONCE,
) -> Iterator[pl.DataFrame]:
    """Compute the rows of a group from each symbol's instant on, in chunks of symbols.

    Yields
    ------
    pl.DataFrame
        In the columns of the group's table. `known_time` is the latest among all bars of the symbol and of the index
        up to the row, those that were not read again included.
    """
    place = ReadPoint.of(lake, read)
    index = _read_index(place)
    known = _known_before(lake, first, read)
    by_reach = _by_reach(group)
    widest = max(
        len(RECENT_BAR_COLUMNS) * group.warm_up, *(reach * len(features) for reach, features in by_reach.items())
    )
    rows_back = min(first.height * (group.warm_up + 1), lake.report(BARS).rows)
    # Rows of some of the symbols would take the place of the others' in the cache.
    is_small = rows_back * len(RECENT_BAR_COLUMNS) <= CACHED_VALUES
    of_all = recent_rows_of(place, first, group.warm_up) if is_small and first.height else None
    with kept_fits(lake, group) as fits:
        for chunk in first.sort("symbol").iter_slices(max(1, values_at_once // (widest + 1))):
            recent = of_all or recent_rows_of(place, chunk, group.warm_up)
            partly = pl.concat([_partly_unknown(recent, chunk, group), _standing_still(recent, chunk, group)]).unique()
            plain = chunk.filter(~pl.col("symbol").is_in(partly.implode()))
            rows = group.table.empty()
            if plain.height:
                rows = _compute_recent(recent, plain, index, by_reach, lake.market, fits)
            if partly.len():
                rest = _compute_from_the_start(lake, chunk, partly, index, group, read, fits)
                rows = pl.concat([rows.select(group.table.names), rest.select(group.table.names)])
                rows = rows.sort("symbol", "event_time")
            rows = rows.join(known, on="symbol", how="left", maintain_order="left").with_columns(
                pl.max_horizontal("known_time", "known_before").alias("known_time")
            )
            yield rows.select(group.table.names)


def _by_reach(group: FeatureGroup) -> dict[int, list[Feature]]:
    """Features of a group by how many bars they need: what looks back a week is not computed over two years."""
    reaches: dict[int, list[Feature]] = {}
    for feature in sorted(group.features, key=lambda feature: -feature.warm_up):
        near = [reach for reach in reaches if feature.warm_up > NEARLY * reach]
        reaches.setdefault(min(near, default=feature.warm_up), []).append(feature)
    return reaches


def _compute_recent(
    recent: RecentRows,
    first: pl.DataFrame,
    index: pl.DataFrame,
    by_reach: Mapping[int, Sequence[Feature]],
    market: Market,
    fits: Fits,
) -> pl.DataFrame:
    """Compute each symbol's rows from its instant on, every feature over the bars that it needs."""
    start, at, end = recent.span(first)
    keys = recent.rows.select("symbol", "event_time")[ranges(at, end)].with_columns(pl.col("symbol").cast(pl.String))
    latest: Rows | None = None
    columns: dict[str, Bars] = {}
    for reach, features in by_reach.items():
        begin = np.maximum(start, at - reach)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(end - begin)])
        asked = ranges(starts[1:] - (end - at), starts[1:])
        inputs = {name for feature in features for name in feature.inputs}
        # The widest of them, which comes first, has seen the most bars, so it knows when the row could be known.
        bars = recent.bars(begin, end, starts, inputs, with_known=latest is None)
        is_asked = np.zeros(starts[-1])
        is_asked[asked] = 1
        bars = replace(bars, columns={**bars.columns, IS_ASKED: is_asked})
        known, values = compute_arrays(bars, index, features, market=market, fits=fits)
        latest = known[asked] if latest is None else latest
        columns |= {name: column[asked] for name, column in values.items()}
    rows = pl.Series("known_time", latest, dtype=pl.Int64).cast(INSTANT)
    return keys.hstack([rows, *(nullable(name, column) for name, column in columns.items())])


def _compute_from_the_start(
    lake: Lake,
    first: pl.DataFrame,
    symbols: pl.Series,
    index: pl.DataFrame,
    group: FeatureGroup,
    read: Watermark,
    fits: Fits,
) -> pl.DataFrame:
    columns = bar_columns(group)
    own = known_bars(lake, read).filter(pl.col("symbol").is_in(symbols.implode())).select(columns).collect()
    panel = pl.concat([newest_known(own), index.select(columns)])
    rows = compute_group(panel, group, market=lake.market, fits=fits)
    rows = rows.join(first, on="symbol", maintain_order="left").filter(pl.col("event_time") >= pl.col("first"))
    return rows.drop("first")


def _partly_unknown(recent: RecentRows, first: pl.DataFrame, group: FeatureGroup) -> pl.Series:
    """Symbols with an input that is known in some of the bars a group reads and unknown in others."""
    gaps = [name for name in bar_columns(group) if name not in ROW_KEY and recent.rows[name].null_count()]
    if not gaps:
        return pl.Series("symbol", [], dtype=pl.String)
    bars = recent.around(first, group.warm_up, ["symbol", *gaps])
    nulls = bars.group_by("symbol").agg(pl.col(gaps).null_count(), pl.len().alias("rows"))
    is_partly = pl.any_horizontal(pl.col(name).is_between(1, pl.col("rows") - 1) for name in gaps)
    return nulls.filter(is_partly)["symbol"].cast(pl.String)


def _standing_still(recent: RecentRows, first: pl.DataFrame, group: FeatureGroup) -> pl.Series:
    """Symbols whose price stood still for `STILL` bars among those that a recursion reads.

    A mean of gains and losses fades to nothing there but keeps their proportion, which only the whole history tells.
    """
    if all(feature.warm_up == feature.lookback for feature in group):
        return pl.Series("symbol", [], dtype=pl.String)
    start, at, end = recent.span(first)
    begin = np.maximum(start, at - group.warm_up)
    taken = ranges(begin, end)
    close = recent.numbers("close")[taken]
    starts = np.cumsum(end - begin)
    moves = np.diff(close) != 0
    moves[starts[:-1] - 1] = True
    still = np.concatenate([np.zeros(1, np.int64), np.cumsum(moves)])
    is_still = np.flatnonzero(still[STILL:] == still[:-STILL]) + STILL
    return recent.rows["symbol"][taken[is_still]].unique().cast(pl.String)


@lru_cache(maxsize=1)
def _read_index(place: ReadPoint) -> pl.DataFrame:
    return read_index(place.lake, place.read)


def _known_before(lake: Lake, first: pl.DataFrame, read: Watermark) -> pl.DataFrame:
    """Latest known_time among each symbol's bars before its instant, where it is later than the instant itself."""
    earliest: datetime | None = first.select(pl.col("first").min()).item()
    late = known_bars(lake, read).filter(pl.col("known_time") >= earliest, pl.col("known_time") > pl.col("event_time"))
    earlier = late.select(ROW_KEY).join(first.lazy(), on="symbol").filter(pl.col("event_time") < pl.col("first"))
    return earlier.group_by("symbol").agg(pl.col("known_time").max().alias("known_before")).collect()
