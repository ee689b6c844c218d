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

    A source whose rows arrive late, or are corrected, may have ``lookback``: a `timedelta` by which it is asked again
    before its newest stored bar, or None to be asked for everything each time. Only rows that are new or differ are
    stored (`lake.refine.unstored`). Without it a source is asked for what is newer than its newest stored bar. A window
    of a week or more also tells a split or dividend from a correction (`lake.refine.vintages`).
    """

    name: str

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``; `after` None means from the source's beginning.

        Nothing known after `until` is returned, whatever the source holds.
        """
        ...
