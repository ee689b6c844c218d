"""Parts of a long list, newest first, each in the order of time."""

from dataclasses import dataclass

import polars as pl

USUAL_ROWS, MOST_ROWS = 1_000, 5_000


@dataclass(frozen=True)
class RowsPage:
    """Which part of a list is asked for.

    Parameters
    ----------
    limit
        Most rows, at least 1.
    offset
        Newest rows to leave out: the `next_offset` of the answer before.
    """

    limit: int = USUAL_ROWS
    offset: int = 0

    def of(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, int | None]:
        """Return the part of rows in the order of time, and the offset of the part before it; None where that is all.

        Examples
        --------
        >>> RowsPage(limit=2, offset=1).of(pl.DataFrame({"place": [1, 2, 3, 4]}))[0]["place"].to_list()
        [2, 3]
        """
        end = max(rows.height - self.offset, 0)
        begin = max(end - self.limit, 0)
        return rows.slice(begin, end - begin), rows.height - begin if begin else None
