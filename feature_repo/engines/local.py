"""Features in this process: the compiled kernels over symbols, a part of the market at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from feature_repo.engines.failures import explain
from feature_repo.materialize.incremental import VALUES_AT_ONCE, compute_whole
from feature_repo.spec import FeatureGroup
from lake.errors import FeatureError
from lake.store import Lake, Watermark
from lake.tables import BARS


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
            yield from compute_whole(lake, group, Watermark(version, at), values_at_once=self.values_at_once)
        except Exception as error:
            bars = lake.read_as_of(BARS, at, version=version)
            raise FeatureError(explain(bars, group, error)) from error
