"""What every source of bars must do; a new source adds its answers, which come from outside, to `SOURCES`."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.calendars import close_of
from lake.clock import DEMO_START
from lake.errors import ConfigError
from lake.market import DEMO, Market
from lake.sources import BarSource, PackagedMarket, as_received, caveats_of, open_source, packaged, tiny_market
from lake.sources.files import FileMapping, FileSource
from lake.sources.registry import SOURCES as REGISTERED
from lake.tables import RAW_BARS
from support.raw_rows import RowSource

FORMER, LATER = close_of(date(2012, 12, 14)), close_of(date(2012, 12, 21))


@dataclass(frozen=True)
class Answers:
    """A source, and facts about it that were not read off its own code."""

    source: BarSource
    first_close: datetime
    symbols: int
    known: tuple[str, datetime, str, float]  # symbol, close, column, value
    until: datetime = DEMO_START
    former: datetime = FORMER
    later: datetime = LATER


PRICES = FileMapping(
    path=str(Path(__file__).parents[1] / "fixtures" / "prices.csv"),
    layout="long",
    time="Date",
    time_format="%d.%m.%Y",
    price_basis="split_adjusted",
    interval="1d",
    calendar="XNYS",
    symbol="Ticker",
    open="Open",
    high="High",
    low="Low",
    close="Close",
    volume="Volume",
    delimiter=";",
    decimal_mark=",",
    thousands_mark=".",
)
SOURCES = [
    # FB closed at 38.23 on its first day, 2012-05-18: every newspaper of the next morning.
    Answers(PackagedMarket(), close_of(date(2000, 3, 1)), 26, ("META", close_of(date(2012, 5, 18)), "close", 38.23)),
    # Meta closed at 336.35 on the last day of 2021, and Apple at 251.53 on 2010-06-30: any chart of them.
    Answers(
        PackagedMarket(packaged.LONG_BARS),
        close_of(date(2000, 3, 1)),
        27,
        ("META", close_of(date(2021, 12, 31)), "close", 336.35),
        until=close_of(date(2021, 12, 31)),
    ),
    Answers(
        PackagedMarket(packaged.WIDE_BARS),
        close_of(date(2008, 8, 21)),
        524,  # of 525: one joins in July
        ("AAPL", close_of(date(2010, 6, 30)), "close", 251.53),
        until=close_of(date(2010, 6, 30)),
        former=close_of(date(2010, 4, 16)),
        later=close_of(date(2010, 4, 23)),
    ),
    Answers(
        RowSource(as_received(tiny_market(["AAA", "BBB"], sessions=20, seed=1))),
        close_of(date(2012, 12, 3)),
        2,
        ("AAA", DEMO_START, "close", tiny_market(["AAA", "BBB"], sessions=20, seed=1)["close"][19]),
    ),
    # The last line of 2012 in the file, and the index that is made beside its two symbols.
    Answers(FileSource(PRICES), close_of(date(2012, 12, 3)), 3, ("NA", DEMO_START, "volume", 2_557)),
]


MARKETS = {"file": Market("own", index=PRICES.market_index, calendar=PRICES.calendar, options=PRICES.to_dict())}
"""Markets for sources that read what a market declares."""


def test_every_registered_source_has_its_answers() -> None:
    answered = {answers.source.name for answers in SOURCES}
    missing = [name for name in REGISTERED if open_source(name, MARKETS.get(name, DEMO)).name not in answered]
    assert missing == [], "add an entry to SOURCES above"


@pytest.mark.parametrize("name", REGISTERED)
def test_what_a_source_says_of_its_bars_is_whole_sentences(name: str) -> None:
    for caveat in caveats_of(name, MARKETS.get(name, DEMO)):
        assert caveat[0].isupper()
        assert caveat.endswith(".")
        assert len(caveat) <= 110  # a line below a table


each_source = pytest.mark.parametrize("answers", SOURCES, ids=lambda answers: answers.source.name)


@each_source
def test_rows_fit_the_raw_table_and_say_where_they_come_from(answers: Answers) -> None:
    batch = answers.source.read(None, answers.until)
    assert RAW_BARS.conform(batch.rows).height == batch.rows.height > 0
    assert batch.rows["batch_id"].unique().to_list() == [batch.batch_id]
    assert batch.rows["source"].unique().to_list() == [answers.source.name]
    assert batch.rows["row"].to_list() == list(range(batch.rows.height))
    assert batch.rows["licence"].str.len_chars().min() > 0
    assert batch.rows["package"].str.len_chars().min() > 0


@each_source
def test_it_begins_where_it_should_and_knows_what_is_known(answers: Answers) -> None:
    rows = answers.source.read(None, answers.until).rows
    assert rows["event_time"].min() == answers.first_close
    assert rows["symbol"].n_unique() == answers.symbols
    symbol, at, column, value = answers.known
    found = rows.filter((pl.col("symbol") == symbol) & (pl.col("event_time") == at))[column]
    assert [float(text) for text in found] == [pytest.approx(value, abs=0.005)]


@each_source
def test_an_interval_is_open_on_the_left_and_closed_on_the_right(answers: Answers) -> None:
    rows = answers.source.read(answers.former, answers.later).rows
    assert rows["known_time"].min() > answers.former
    assert rows["known_time"].max() == answers.later


@each_source
def test_nothing_is_known_after_until_whatever_it_holds(answers: Answers) -> None:
    just_before = answers.source.read(answers.former, answers.later - timedelta(seconds=1)).rows
    assert just_before["known_time"].max() < answers.later


@each_source
def test_nothing_is_known_before_it_happened(answers: Answers) -> None:
    rows = answers.source.read(None, answers.until).rows
    assert (rows["event_time"] <= rows["known_time"]).all()


@each_source
def test_it_says_how_it_is_known_when_rows_were_known_and_calls_no_assumption_an_observation(answers: Answers) -> None:
    rows = answers.source.read(None, answers.until).rows
    assert rows["known_basis"].null_count() == 0
    assert set(rows["known_basis"]) <= set(RAW_BARS.column("known_basis").allowed)
    observed = rows.filter(pl.col("known_basis") == "observed")
    assert (observed["known_time"] == observed["received_at"]).all()


@each_source
def test_two_intervals_give_what_one_gives(answers: Answers) -> None:
    numbering = ["batch_id", "row", "received_at"]
    parts = [answers.source.read(None, answers.former).rows, answers.source.read(answers.former, answers.later).rows]
    whole = answers.source.read(None, answers.later).rows
    columns = ["symbol", "event_time"]
    assert_frame_equal(pl.concat(parts).drop(numbering).sort(columns), whole.drop(numbering).sort(columns))


@each_source
def test_the_same_question_has_the_same_answer_under_the_same_name(answers: Answers) -> None:
    first, second = (
        answers.source.read(answers.former, answers.later),
        answers.source.read(answers.former, answers.later),
    )
    assert first.batch_id == second.batch_id
    assert_frame_equal(first.rows.drop("received_at"), second.rows.drop("received_at"))
    assert answers.source.read(answers.former, answers.until).batch_id != first.batch_id


@each_source
def test_an_empty_interval_is_an_empty_batch(answers: Answers) -> None:
    batch = answers.source.read(answers.later, answers.later)
    assert batch.rows.is_empty()
    assert RAW_BARS.conform(batch.rows).is_empty()


def test_the_packaged_market_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ConfigError, match="has no zone"):
        PackagedMarket().read(None, datetime(2012, 12, 31))  # noqa: DTZ001 - the point
