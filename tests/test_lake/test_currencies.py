"""What a vendor says that its prices are in: kept with its dividends, and said beside what the market declares."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import close_of
from lake.ingest import ingest_bars
from lake.ingest.currencies import about_currencies
from lake.market import Market
from lake.sources.replay import Event, PlayedYahoo
from lake.store import Lake
from lake.tables import RAW_ACTIONS
from support.vendors import Stand, stand_of

NOW = datetime(2012, 12, 31, 22, tzinfo=UTC)


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with stand_of("yahoo", tmp_path, NOW) as made:
        made.vendor.events = {"IBM": [Event(date(2012, 12, 20), "dividend", 0.85)]}
        yield made


def test_a_dividend_is_stored_in_the_currency_of_its_prices(stand: Stand, lake: Lake) -> None:
    ingest_bars(lake, stand.source(["IBM"]), stand.time)
    assert lake.read(RAW_ACTIONS)["currency"].to_list() == ["USD"]


def test_a_dividend_that_was_stored_without_its_currency_is_no_news(stand: Stand, lake: Lake) -> None:
    assert isinstance(stand.vendor, PlayedYahoo)
    stand.vendor.currency = None
    ingest_bars(lake, stand.source(["IBM"]), stand.time)
    stand.vendor.currency = "USD"
    stand.time.at = close_of(date(2012, 12, 31)) + timedelta(days=1)
    ingest_bars(lake, stand.source(["IBM"]), stand.time)
    assert lake.read(RAW_ACTIONS)["currency"].to_list() == [None]


def test_the_run_says_what_to_declare(stand: Stand, tmp_path: Path) -> None:
    for currency, words in (
        (None, "Add `currency: USD` to market.yaml"),
        ("USD", ""),
        ("EUR", "declares EUR: answers"),
    ):
        home = tmp_path / str(currency)
        Market("us", "yahoo", index="AAPL", first_year=2012, currency=currency).write(home)
        report = ingest_bars(Lake(home / "tables"), stand.source(["IBM"]), stand.time)
        assert [words in warning for warning in report.warnings] == ([True] if words else [])


@pytest.mark.parametrize(
    ("said", "declared", "sentences"),
    [
        ({"AAA": "USD", "^GSPC": "EUR"}, "USD", 0),
        ({"AAA": "USD", "BBB": "EUR"}, None, 0),
        ({"AAA": "GBp"}, None, 0),
        ({"AAA": "GBp", "BBB": "USD"}, "GBP", 2),
        ({}, "GBP", 0),
    ],
)
def test_hundredths_are_another_currency_and_an_index_has_none(
    said: dict[str, str], declared: str | None, sentences: int
) -> None:
    told = [*about_currencies("yahoo", said, Market("desk", currency=declared))]
    assert len(told) == sentences
    assert all(sentence.endswith(".") for sentence in told)
    assert pl.Series([len(sentence) for sentence in told], dtype=pl.Int64).is_between(40, 300).all()
