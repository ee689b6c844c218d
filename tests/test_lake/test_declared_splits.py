"""Splits that are declared beside a split-adjusted price file: prices as traded, and what is refused."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import close_of
from lake.clock import FixedClock
from lake.errors import ConfigError, SourceError
from lake.ingest import ingest_bars, refine_to_lake
from lake.market import Market
from lake.sources.files import FileMapping, FileSource, inspect_file
from lake.store import Lake
from lake.tables import BARS, RAW_ACTIONS, RAW_BARS

DAYS = [date(2024, 6, 6), date(2024, 6, 7), date(2024, 6, 10), date(2024, 6, 11)]
CLOSES = {"NVDA": ["120.998", "120.888", "121.79", "120.91"], "MSFT": ["424.52", "423.85", "427.87", "432.68"]}
"""Of NVIDIA in the shares of after its split of ten for one: 1,209.98 and 1,208.88 were traded before."""
NOW = FixedClock(close_of(DAYS[-1]))


def price_file(folder: Path, days: int = 4) -> Path:
    lines = ["Ticker,Date,Open,High,Low,Close,Volume"]
    for symbol, closes in CLOSES.items():
        lines += [f"{symbol},{d},{c},{c},{c},{c},100" for d, c in zip(DAYS[:days], closes, strict=False)]
    (folder / "prices.csv").write_text("\n".join(lines))
    return folder / "prices.csv"


def mapping_of(file: Path, splits: str | None, basis: str = "split_adjusted") -> FileMapping:
    columns = {name.lower(): name for name in ("Open", "High", "Low", "Close", "Volume")}
    return FileMapping(
        str(file),
        "long",
        "Date",
        "%Y-%m-%d",
        basis,
        "1d",
        "XNYS",
        "Ticker",
        delimiter=",",
        index="MSFT",
        splits=splits,
        **columns,
    )


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    Market("desk", "file", index="MSFT", first_year=2024).write(tmp_path)
    return Lake(tmp_path / "tables")


def store(lake: Lake, mapping: FileMapping, clock: FixedClock = NOW) -> int:
    added = ingest_bars(lake, FileSource(mapping), clock).added
    refine_to_lake(lake, clock)
    return added


def test_prices_as_traded_follow_from_the_declared_splits(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("symbol,ex_date,ratio\nnvda,2024-06-10,10\n")
    store(lake, mapping_of(price_file(tmp_path), "splits.csv"))
    bars = lake.read(BARS).sort("event_time")
    own = bars.filter(symbol="NVDA")
    assert own["close_traded"].to_list() == pytest.approx([1209.98, 1208.88, 121.79, 120.91])
    assert own["close"].to_list() == pytest.approx([float(close) for close in CLOSES["NVDA"]])
    assert bars.filter(symbol="MSFT")["close_traded"].to_list() == [float(close) for close in CLOSES["MSFT"]]
    stated = lake.read(RAW_ACTIONS).select("symbol", "ex_date", "kind", "ratio", "price_basis", "source")
    assert stated.rows() == [("NVDA", "2024-06-10", "split", "10.0", "split_adjusted", "file")]


def test_without_them_there_is_no_price_as_traded(lake: Lake, tmp_path: Path) -> None:
    store(lake, mapping_of(price_file(tmp_path), None))
    assert lake.read(BARS)["close_traded"].null_count() == 8


def test_a_look_at_the_file_counts_them(tmp_path: Path) -> None:
    (tmp_path / "splits.csv").write_text("symbol,ex_date,ratio\nNVDA,2024-06-10,10\n")
    found = inspect_file(price_file(tmp_path), given={"splits": "splits.csv", "price_basis": "split_adjusted"})
    assert found.settled().splits == "splits.csv"
    assert [each.evidence for each in found.choices if each.field == "splits"] == [
        "1 split of 1 symbol, so that prices as traded are known"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("symbol,ex_date\nNVDA,2024-06-10\n", r"splits\.csv has no column ratio\. It needs symbol, ex_date, ratio"),
        (
            "symbol,ex_date,ratio\nNVDAA,2024-06-10,10\n",
            r"Line 2 of splits\.csv is NVDAA, 2024-06-10, 10: expected a sy",
        ),
        ("symbol,ex_date,ratio\nNVDA,10.6.2024,10\n", "expected a symbol of the price file, the ex-date as 2024-06-10"),
        ("symbol,ex_date,ratio\nNVDA,2024-06-10,0\n", "Line 2"),
        ("symbol,ex_date,ratio\nNVDA,2024-06-10,10\nNVDA,2024-06-10,10\n", "Line 2"),
    ],
)
def test_a_split_that_cannot_be_used_is_refused(lake: Lake, tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "splits.csv").write_text(content)
    with pytest.raises(SourceError, match=message):
        store(lake, mapping_of(price_file(tmp_path), "splits.csv"))
    assert not lake.exists(RAW_BARS)


def test_splits_are_of_split_adjusted_prices_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"splits names splits\.csv, and price_basis is 'as_traded'"):
        mapping_of(price_file(tmp_path), "splits.csv", "as_traded")
    with pytest.raises(SourceError, match="cannot be read from"):
        FileSource(mapping_of(price_file(tmp_path), "none.csv")).read(None, NOW.at)


def test_a_fully_adjusted_file_says_so_and_a_home_from_before_goes_on(lake: Lake, tmp_path: Path) -> None:
    mapping = mapping_of(price_file(tmp_path, days=3), None, "fully_adjusted")
    before = FixedClock(close_of(DAYS[2]))
    batch = FileSource(mapping).read(None, before.at)
    assert batch.rows["price_basis"].unique().to_list() == ["fully_adjusted"]
    lake.append(RAW_BARS, batch.rows.with_columns(pl.lit("split_adjusted").alias("price_basis")), batch_id="old")
    refine_to_lake(lake, before)
    price_file(tmp_path)
    assert store(lake, mapping) == 2, "what was stored under the former word is no correction"
    newest = lake.read(BARS).sort("event_time").filter(symbol="NVDA")
    assert newest["price_basis"].to_list() == ["split_adjusted"] * 3 + ["fully_adjusted"]
    assert newest["close"].to_list() == pytest.approx([float(close) for close in CLOSES["NVDA"]])
