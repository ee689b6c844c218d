"""Features in this process: the compiled kernels over symbols, a part of the market at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from feature_repo.engines.failures import explain
from feature_repo.engines.fit_file import kept_fits
from feature_repo.engines.panel import bar_columns, compute_group
from feature_repo.spec import FeatureGroup
from lake.errors import FeatureError
from lake.store import Lake, Watermark, newest_known
from lake.tables import BARS

VALUES_AT_ONCE = 40_000_000
"""Feature values held in memory at a time; more are computed in chunks of symbols."""


@dataclass(frozen=True)
class LocalEngine:
    """Computes in this process, on all its cores.

    Parameters
    ----------
    values_at_once
        Feature values held in memory at a time; more are computed in chunks of symbols.
    """

    values_at_once: int = VALUES_AT_ONCE

    def compute(
        self, lake: Lake, group: FeatureGroup, at: datetime, *, version: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a group by runs of symbols; see `FeatureEngine.compute`."""
        version = lake.version(BARS) if version is None else version
        try:
            yield from _compute_whole(lake, group, Watermark(version, at), self.values_at_once)
        except Exception as error:
            bars = lake.read_as_of(BARS, at, version=version)
            raise FeatureError(explain(bars, group, error, market=lake.market)) from error


def known_bars(lake: Lake, read: Watermark) -> pl.LazyFrame:
    """Bars of a table version that were known at an instant; a restated bar has a row for each statement."""
    return lake.scan(BARS, version=read.version).filter(pl.col("known_time") <= read.now)


def read_index(lake: Lake, read: Watermark) -> pl.DataFrame:
    """Read the newest known bar of the market's index at each close."""
    return newest_known(known_bars(lake, read).filter(pl.col("symbol") == lake.market.index).collect())


def _compute_whole(lake: Lake, group: FeatureGroup, read: Watermark, values_at_once: int) -> Iterator[pl.DataFrame]:
    """Compute every row of a group from all bars, in chunks of symbols of about `values_at_once` values."""
    index = read_index(lake, read)
    own = known_bars(lake, read).filter(pl.col("symbol") != lake.market.index)
    counts = own.group_by("symbol").len().sort("symbol").collect()
    size = counts["len"].cum_sum() * len(group.features) // values_at_once
    names = bar_columns(group)
    with kept_fits(lake, group) as fits:
        for chunk in counts.with_columns(size.alias("chunk")).partition_by("chunk", maintain_order=True):
            low, high = chunk["symbol"][0], chunk["symbol"][-1]
            rows = own.filter(pl.col("symbol").is_between(pl.lit(low), pl.lit(high))).select(names).collect()
            panel = pl.concat([newest_known(rows), index.select(names)])
            yield compute_group(panel, group, market=lake.market, fits=fits)
