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


class BarSource(Protocol):
    """A source of daily bars.

    A source may also have ``caveats``, a tuple of sentences that belong beside every figure made from its bars, e.g.
    that its symbols were chosen with hindsight; `lake.sources.caveats_of` reads them.
    """

    name: str

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``; `after` None means from the source's beginning.

        Nothing known after `until` is returned, whatever the source holds.
        """
        ...
