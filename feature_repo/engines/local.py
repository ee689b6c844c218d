"""Features in this process: the compiled kernels over symbols, a part of the market at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from feature_repo.engines.failures import compute_or_explain
from feature_repo.spec import FeatureGroup
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

ROWS_AT_ONCE = 5_000_000
"""Bars in one part: 4,000 symbols over five years; about 2.5 GB with what the technical features make of them."""


@dataclass(frozen=True)
class LocalEngine:
    """Computes in this process, on all its cores.

    Parameters
    ----------
    rows_at_once
        Bars of one part; a panel larger than memory is computed in several. Whole symbols always.
    """

    rows_at_once: int = ROWS_AT_ONCE

    def compute(
        self, lake: Lake, group: FeatureGroup, at: datetime, *, version: int | None = None
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a group by runs of symbols; see `FeatureEngine.compute`."""
        version = lake.version(BARS) if version is None else version
        index = pl.col("symbol") == MARKET
        for symbols in self._parts(lake, version):
            chosen = index if symbols is None else index | pl.col("symbol").is_in(symbols)
            bars = lake.read_as_of(BARS, at, where=None if symbols is None else chosen, version=version)
            yield compute_or_explain(bars, group)

    def _parts(self, lake: Lake, version: int) -> Iterator[list[str] | None]:
        """Runs of symbols with about `rows_at_once` bars; None stands for all of them in one."""
        stored = lake.scan(BARS, version=version)
        if stored.select(pl.len()).collect().item() <= self.rows_at_once:
            yield None
            return
        counted = stored.filter(pl.col("symbol") != MARKET).group_by("symbol").len().sort("symbol").collect()
        part = (counted["len"].cum_sum() - 1) // self.rows_at_once
        for run in counted.with_columns(part.alias("part")).partition_by("part", maintain_order=True):
            yield run["symbol"].to_list()
