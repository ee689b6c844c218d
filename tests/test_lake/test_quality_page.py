"""The quality page: one small file that needs nothing else, true to the tables, and safe whatever the data says."""

from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from lake.assessment import PAGE, report_quality, summarise
from lake.clock import FixedClock
from lake.errors import NotReadyError
from lake.ingest import ingest_bars, refine_to_lake, replay_sources
from lake.sources import PackagedMarket, as_received, tiny_market
from lake.store import Lake
from lake.tables import BARS, RAW_BARS

MOST_BYTES = 200_000
VOID = {"meta", "br"}
MARKET = tiny_market(["AAA", "B<script>", "^GSPC"], sessions=90, seed=7)
CLOSES = MARKET["event_time"].unique().sort().to_list()
CLOCK = FixedClock(CLOSES[-1] + timedelta(days=1))


class Reader(HTMLParser):
    """Reads a page strictly: every tag is closed where it belongs, and nothing is fetched from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.outside += [
            f"{tag} {name}" for name, value in attrs if name in {"src", "href", "onload"} or "http" in (value or "")
        ]
        assert tag not in {"script", "link", "iframe", "img"}

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of a picture without content."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(page: Path) -> Reader:
    reader = Reader()
    text = page.read_text(encoding="utf-8")
    reader.feed(text)
    assert reader.open == reader.outside == []
    assert "@import" not in text
    assert "url(" not in text
    assert len(text.encode()) < MOST_BYTES
    return reader


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path / "tables")
    gap = (pl.col("symbol") == "AAA") & (pl.col("event_time") == CLOSES[40])
    negative = (pl.col("symbol") == "B<script>") & (pl.col("event_time") == CLOSES[50])
    bars = MARKET.filter(~gap).with_columns(pl.when(negative).then(-1.0).otherwise("close").alias("close"))
    made.append(RAW_BARS, as_received(bars, batch_id="one"), batch_id="one")
    refine_to_lake(made, CLOCK)
    return made


def test_the_page_says_what_the_tables_hold_and_escapes_it(lake: Lake, tmp_path: Path) -> None:
    report = report_quality(lake, CLOCK, tmp_path / PAGE)
    said = " ".join(read(tmp_path / PAGE).texts)
    assert report.details["page"] == tmp_path / PAGE
    assert report.details["refused"] == 1
    for expected in ("B<script>", "price_not_positive", "quantlake sql", "Data quality of", "No bar has two sources"):
        assert expected in said
    assert "269 rows" in said
    summary = summarise(lake, CLOCK.now())
    gaps = {each.symbol: each.sessions - each.bars for each in summary.coverage}
    assert gaps == {"AAA": 1, "B<script>": 1, "^GSPC": 0}


def test_a_whole_market_stays_small(tmp_path: Path) -> None:
    lake, clock = Lake(tmp_path / "tables"), FixedClock(CLOSES[0].replace(year=2003, month=12, day=31))
    ingest_bars(lake, PackagedMarket(), clock)
    refine_to_lake(lake, clock)
    report = report_quality(lake, clock, tmp_path / PAGE)
    said = " ".join(read(tmp_path / PAGE).texts)
    assert "as known at 2003-12-31" in said
    assert f"100 % Time of knowledge of {lake.report(BARS).rows:,} bars: 100 % assumed (the close), none rec" in said
    assert report.details["known_basis"] == {"assumed": 1.0}


def test_failures_of_deliveries_and_disagreement_are_shown(tmp_path: Path) -> None:
    [*replay_sources(tmp_path / "home", ["polygon", "yahoo"])]
    lake = Lake(tmp_path / "home" / "tables")
    report_quality(lake, FixedClock(lake.market.starts_at or CLOCK.at), tmp_path / PAGE)
    said = " ".join(read(tmp_path / PAGE).texts)
    assert "returns of the newest sessions that several sources have" in said
    assert said.count("answered") == 6


def test_a_home_without_bars_is_told_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="Run `make demo` first"):
        summarise(Lake(tmp_path / "tables"), CLOCK.now())
