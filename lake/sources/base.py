"""The interface of a source of bars."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import polars as pl


@dataclass(frozen=True)
class BarBatch:
    """One delivery: rows in the columns of `raw_bars`, under an id that is the same whenever the same is asked."""

    batch_id: str
    rows: pl.DataFrame

    @property
    def last_close(self) -> datetime | None:
        """Newest close of the rows, None where there are none."""
        last: datetime | None = self.rows.select(pl.col("event_time").max()).item()
        return last


class BarSource(Protocol):
    """A source of daily bars.

    A source may also have ``caveats``, a tuple of sentences that belong beside every figure made from its bars, e.g.
    that its symbols were chosen with hindsight; `lake.sources.caveats_of` reads them.
    """

    @property
    def name(self) -> str:
        """Value of the column `source`."""
        ...

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``; `after` None means from the source's beginning.

        Nothing known after `until` is returned, whatever the source holds.
        """
        ...
