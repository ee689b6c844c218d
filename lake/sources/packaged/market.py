"""A packaged market as a source of bars, each assumed to be known from the close of its session."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import polars as pl

from lake import calendars
from lake.clock import require_utc
from lake.sources.base import ACTION_COLUMNS, BarBatch
from lake.sources.packaged.demo import DEMO_BARS
from lake.sources.packaged.segments import PackagedBars
from lake.tables import RAW_BARS


@dataclass(frozen=True)
class PackagedMarket:
    """A source of the bars of a packaged market, by default those of `demo`."""

    bars: PackagedBars = DEMO_BARS

    @property
    def name(self) -> str:
        """Value of the column `source`."""
        return self.bars.name

    @property
    def knows_survivorship(self) -> bool:
        """Whether the caveats say what became of the symbols that it does not have."""
        return any("survivors" in caveat for caveat in self.caveats)

    @property
    def caveats(self) -> tuple[str, ...]:
        """Sentences that belong beside every figure made from its bars."""
        return self.bars.caveats

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``, every value as the text in its file."""
        first = self.bars.first_day
        start = require_utc(after) if after else datetime(first.year, first.month, first.day, tzinfo=UTC)
        end = min(require_utc(until), calendars.close_of(self.bars.last_day, self.bars.calendar))
        rows = _rows(self.bars).filter((pl.col("known_time") > start) & (pl.col("known_time") <= end))
        batch_id = f"{self.name}:{start:%Y%m%dT%H%M}:{end:%Y%m%dT%H%M}"
        source = pl.lit(self.name).alias("source")
        received = pl.lit(datetime.now(UTC)).cast(ACTION_COLUMNS["received_at"]).alias("received_at")
        stated = _actions(self.bars).with_columns(source, received)
        return BarBatch(
            batch_id,
            rows.sort("known_time", "symbol")
            .with_row_index("row")
            .with_columns(
                pl.col("row").cast(pl.Int64),
                source,
                pl.lit(batch_id).alias("batch_id"),
                received,
            )
            .select(RAW_BARS.names),
            stated.select([*ACTION_COLUMNS]),
        )


@cache
def _actions(market: PackagedBars) -> pl.DataFrame:
    """Every split that a file of the market is adjusted for, in the columns of `ACTION_COLUMNS`."""
    empty = pl.DataFrame(schema=ACTION_COLUMNS)
    stated = [segment.file.actions() for segment in market.segments]
    return pl.concat([empty, *stated], how="diagonal").unique(["symbol", "ex_date", "kind"], maintain_order=True)


@cache
def _rows(market: PackagedBars) -> pl.DataFrame:
    """Every row of every segment, read once per process."""
    return pl.concat(_stamped(market))


def _stamped(market: PackagedBars) -> Iterator[pl.DataFrame]:
    sessions = calendars.closes(market.calendar).with_columns(pl.col("session").cast(pl.String))
    for segment in market.segments:
        rows = segment.rows(market.first_day, market.last_day)
        stamped = rows.join(sessions, left_on="date", right_on="session", how="left", maintain_order="left")
        yield (
            stamped.with_columns(
                pl.col("event_time").dt.to_string("iso:strict").alias("stamp"),
                # A row on a day without a session keeps its date as stamp, and is refused later with that reason.
                pl.col("event_time").fill_null(
                    pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC")
                ),
            )
            .with_columns(
                pl.coalesce("stamp", pl.col("date") + "T00:00:00+00:00").alias("stamp"),
                pl.col("event_time").alias("known_time"),
                pl.lit("assumed").alias("known_basis"),
            )
            .drop("date")
        )
