"""A source of bars that is declared outside of the product is ingested, refined and computed like the packaged one."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from feature_repo.catalog import TECHNICAL, spec_of
from feature_repo.materialize import update_group
from lake.calendars import close_of
from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources import BarSource
from lake.sources.base import Batch
from lake.spec import INSTANT
from lake.store import Lake
from lake.tables import BARS, QUARANTINE, RAW_BARS

DAYS = [date(2012, 12, day) for day in (3, 4, 5, 6, 7)]
CLOSES = ["10.0", "11.0", "9.9", "-1.0", "12.0"]
"""The fourth is no price: the rules of the platform refuse it, whatever source it came from."""


@dataclass(frozen=True)
class CsvFolder:
    """A throw-away source: one CSV file per symbol with `date` and `close`, known at the close of its session."""

    folder: Path
    name: str = "csv_folder"

    def read(self, after: datetime | None, until: datetime) -> Batch:
        """Return the closes in ``(after, until]``."""
        batch_id = f"{self.name}:{after}:{until}"
        files = {path.stem: pl.read_csv(path, schema_overrides={"close": pl.String}) for path in self.folder.iterdir()}
        rows = [
            {"symbol": symbol, "event_time": close_of(date.fromisoformat(day)), "close": close}
            for symbol, frame in sorted(files.items())
            for day, close in frame.select("date", "close").iter_rows()
        ]
        due = [row for row in rows if row["event_time"] <= until and (after is None or row["event_time"] > after)]
        texts = dict.fromkeys(("open", "high", "low", "volume"), pl.lit(None, pl.String))
        frame = pl.DataFrame(due, {"symbol": pl.String, "event_time": INSTANT, "close": pl.String}).with_columns(
            pl.lit(value).alias(name)
            for name, value in {
                "price_basis": "adjusted_close_only",
                "source": self.name,
                "package": "csv files",
                "licence": "ours",
                "batch_id": batch_id,
                "received_at": datetime(2013, 1, 1, tzinfo=UTC),
            }.items()
        )
        whole = frame.with_columns(
            pl.col("event_time").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00").alias("stamp"),
            pl.col("event_time").alias("known_time"),
            pl.col("close").alias("adj_close"),
            pl.int_range(pl.len()).alias("row"),
            **texts,
        )
        return Batch(batch_id, RAW_BARS.conform(whole.select(RAW_BARS.names)))


@pytest.fixture
def source(tmp_path: Path) -> BarSource:
    folder = tmp_path / "csv"
    folder.mkdir()
    rows = "\n".join(f"{day},{close}" for day, close in zip(DAYS, CLOSES, strict=True))
    (folder / "AAA.csv").write_text(f"date,close\n{rows}\n", encoding="utf-8")
    return CsvFolder(folder)


def test_a_source_from_outside_follows_the_whole_way(source: BarSource, lake: Lake) -> None:
    early, late = FixedClock(close_of(DAYS[1])), FixedClock(close_of(DAYS[-1]))
    assert ingest_bars(lake, source, early).rows == 2
    assert ingest_bars(lake, source, late).rows == 5
    assert ingest_bars(lake, source, late).skipped
    refine_to_lake(lake, late)
    bars = lake.read(BARS).sort("event_time")
    assert bars["close"].to_list() == [10.0, 11.0, 9.9, 12.0]
    (refused,) = lake.read(QUARANTINE)["batch_id"].to_list()
    assert refused.startswith(source.name)
    update_group(lake, late, TECHNICAL)
    features = lake.read(spec_of("features_technical")).sort("event_time")
    first, *returns = features["return_1d"].to_list()
    assert first is None
    assert returns == pytest.approx([0.1, -0.1, 12 / 9.9 - 1])
