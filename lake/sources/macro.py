"""Economic series as rows of `raw_macro`: what a source of them answers, when a release is out, when a period ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import pairwise
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo

import polars as pl

from lake.clock import SystemClock
from lake.tables import RAW_MACRO

NEW_YORK = ZoneInfo("America/New_York")
RELEASE_CLOCK: Mapping[str, time] = MappingProxyType(
    {
        **dict.fromkeys(("CPIAUCSL", "CPILFESL", "PAYEMS", "UNRATE", "PPIACO", "PPIFIS", "GDP", "GDPC1"), time(8, 30)),
        "JTSJOL": time(10),
    }
)
"""When a series is released on its day, in New York; any other counts as known at the end of the day."""
LATEST = time(23, 59)
LENGTHS = {360: "1y", 85: "1q", 28: "1mo"}
"""Length of a period by the fewest days between the dates of two; shorter ones are named by their last day."""


@dataclass(frozen=True)
class MacroBatch:
    """One delivery of economic series.

    Parameters
    ----------
    batch_id
        As of `lake.sources.BarBatch`.
    rows
        Values in the columns of `raw_macro`.
    series
        Those that were asked for by name; none where the source is asked for all that it has.
    requests
        Requests that were answered for it; None for a source that asks no network.
    notes
        Sentences for the report of the run.
    """

    batch_id: str
    rows: pl.DataFrame
    series: tuple[str, ...] = ()
    requests: int | None = None
    notes: tuple[str, ...] = ()


class MacroSource(Protocol):
    """A source of economic series that is read up to an instant."""

    @property
    def name(self) -> str:
        """Value of the column `source`."""
        ...

    def read(self, after: datetime | None, until: datetime) -> MacroBatch:
        """Return the values that became known in ``(after, until]``; `after` None means from the beginning."""
        ...


def released(series: str, vintage: date) -> datetime:
    """Return when the values of a vintage were released; never earlier than it can have been.

    Examples
    --------
    >>> released("GDP", date(2009, 1, 30)).isoformat()
    '2009-01-30T08:30:00-05:00'
    """
    return datetime.combine(vintage, RELEASE_CLOCK.get(series, LATEST), NEW_YORK)


def last_days(series: pl.Series, periods: pl.Series) -> pl.Series:
    """Return the last day of each period, as midnight in New York with which it begins, in UTC.

    A quarter or month is named by its first day, a week or day by its last. Which of them a series counts in follows
    from the fewest days between two of its dates; where there is only one date, it is taken for a day.

    Examples
    --------
    >>> quarters = pl.Series([date(2008, 7, 1), date(2008, 10, 1)])
    >>> [str(end) for end in last_days(pl.Series(["GDP", "GDP"]), quarters)]
    ['2008-09-30 04:00:00+00:00', '2008-12-31 05:00:00+00:00']
    """
    frame = pl.DataFrame({"series": series, "period": periods}, schema={"series": pl.String, "period": pl.Date})
    lengths = {}
    for (name,), rows in frame.group_by("series"):
        dates = rows["period"].unique().sort().to_list()
        gap = min(((later - earlier).days for earlier, later in pairwise(dates)), default=0)
        lengths[name] = next((length for least, length in LENGTHS.items() if gap >= least), "1d")
    ends = pl.col("period").dt.offset_by(pl.col("series").replace_strict(lengths, default="1d")).dt.offset_by("-1d")
    midnight = ends.cast(pl.Datetime("us")).dt.replace_time_zone(str(NEW_YORK), ambiguous="earliest")
    return frame.select(midnight.dt.convert_time_zone("UTC").alias("event_time")).to_series()


def as_received_series(
    rows: pl.DataFrame, source: str, batch_id: str, received: datetime | None = None
) -> pl.DataFrame:
    """Return values with the columns that say in which delivery they came, sorted by when they became known.

    Parameters
    ----------
    rows
        Columns of `raw_macro` but ``source``, ``batch_id``, ``row`` and ``received_at``.
    received
        When they came; now by default.
    """
    received = received or SystemClock().now()
    return (
        rows.sort("known_time", "series", "event_time")
        .with_row_index("row")
        .with_columns(
            pl.col("row").cast(pl.Int64),
            pl.lit(source).alias("source"),
            pl.lit(batch_id).alias("batch_id"),
            pl.lit(received).cast(RAW_MACRO.schema["received_at"]).alias("received_at"),
        )
        .select(RAW_MACRO.names)
    )
