"""A symbol that is renamed in a price file has the bars and features of one that never was."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from polars.testing import assert_frame_equal

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize import update_labels, update_technical
from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.market import Market
from lake.membership import survivorship_of, universe_at, update_membership
from lake.names import Rename
from lake.sources import open_source
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, LABELS, QUARANTINE
from support.price_files import Dialect, market, sessions

DAYS = sessions()[:320]
NOW = FixedClock(datetime(2024, 12, 31, tzinfo=UTC))
RENAMED = DAYS[200]
ROWS = market(["AAA", "NEW"], DAYS)
OLD_NAME = pl.when(pl.col("symbol") == "NEW", pl.col("day") < RENAMED).then(pl.lit("OLD")).otherwise("symbol")
AS_TRADED = ROWS.with_columns(OLD_NAME.alias("symbol"))
OPTIONS = {
    "layout": "long", "symbol": "Ticker", "time": "Date", "time_format": "%Y-%m-%d", "delimiter": ",", "open": "Open",
    "high": "High", "low": "Low", "close": "Close", "volume": "Volume", "price_basis": "split_adjusted",
    "interval": "1d",
}  # fmt: skip


def home_of(folder: Path, rows: pl.DataFrame, renames: tuple[Rename, ...] = ()) -> Lake:
    """A market of a price file, from its rows to features and labels."""
    folder.mkdir()
    file = Dialect().write(folder / "prices.csv", rows)
    desk = Market("desk", source="file", index="^EQUAL_WEIGHT", options={**OPTIONS, "path": str(file)}, renames=renames)
    desk.write(folder)
    lake = Lake(folder / "tables")
    ingest_bars(lake, open_source("file", desk), NOW)
    for step in (refine_to_lake, update_membership, update_technical, update_labels):
        step(lake, NOW)
    return lake


def test_a_renamed_symbol_has_the_features_of_one_that_never_was(tmp_path: Path) -> None:
    always = home_of(tmp_path / "always", ROWS)
    renamed = home_of(tmp_path / "renamed", AS_TRADED, (Rename("OLD", "NEW", RENAMED),))
    assert renamed.read(QUARANTINE)["reason"].to_list() == []

    def told(lake: Lake, spec: TableSpec) -> pl.DataFrame:
        origins = [column.name for column in spec.columns if column.is_origin]
        return lake.read_as_of(spec, NOW.now()).drop(origins)

    for spec in (BARS, FEATURES_TECHNICAL, LABELS):
        assert_frame_equal(told(renamed, spec), told(always, spec))
    returns = renamed.read_as_of(FEATURES_TECHNICAL, NOW.now(), where=pl.col("symbol") == "NEW")["return_1d"]
    assert returns.drop_nulls().len() == len(DAYS) - 1, "the return of the day of the rename among them"
    assert universe_at(renamed, "desk", NOW.now()) == ["AAA", "NEW", "^EQUAL_WEIGHT"]
    assert survivorship_of(renamed, NOW.now()).startswith("No symbol of 2 ever left")


def test_without_the_rename_they_are_two_symbols_of_which_one_left(tmp_path: Path) -> None:
    lake = home_of(tmp_path / "desk", AS_TRADED)
    assert "OLD" not in universe_at(lake, "desk", NOW.now())
    assert survivorship_of(lake, NOW.now()) == "1 of 3 symbols left the market: OLD."
