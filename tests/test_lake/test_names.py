"""Names over time: whose a name was on a day, what an asked name answers, and which names are near."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.errors import ConfigError, UnknownNameError
from lake.market import DEMO, Market, market_of
from lake.names import KnownSymbols, NameHistory, Rename
from lake.spec import INSTANT
from lake.universe import SYMBOLS

FACEBOOK = Rename("FB", "META", date(2022, 6, 9))
HISTORY = NameHistory.of([FACEBOOK])
DAYS = st.dates(date(2018, 1, 1), date(2024, 12, 31))


@pytest.mark.parametrize(
    ("name", "day", "symbol"),
    [
        ("FB", date(2022, 6, 8), "META"),
        ("FB", date(2022, 6, 9), None),  # whoever has it today is not Meta Platforms
        ("META", date(2022, 6, 9), "META"),
        ("META", date(2021, 12, 31), None),  # an exchange-traded fund
        ("AAPL", date(2021, 12, 31), "AAPL"),
    ],
)
def test_a_name_stands_for_an_instrument_on_its_days_only(name: str, day: date, symbol: str | None) -> None:
    found = HISTORY.resolve(name, day)
    assert (None if found is None else found.symbol) == symbol


def test_renames_follow_each_other_whatever_their_order() -> None:
    chain = [Rename("B", "C", date(2021, 1, 4)), Rename("A", "B", date(2020, 1, 2))]
    history = NameHistory.of(chain)
    assert history == NameHistory.of(chain[::-1])
    assert [(span.name, span.valid_from, span.valid_until) for span in history.spans] == [
        ("A", None, date(2020, 1, 2)),
        ("B", date(2020, 1, 2), date(2021, 1, 4)),
        ("C", date(2021, 1, 4), None),
    ]
    assert {span.symbol for span in history.spans} == {"C"}


def test_a_name_that_goes_from_one_instrument_to_another_is_the_others_from_then_on() -> None:
    history = NameHistory.of([Rename("A", "B", date(2020, 1, 2)), Rename("C", "A", date(2021, 1, 4))])
    assert history.resolve("A", date(2019, 1, 2)).symbol == "B"  # type: ignore[union-attr] # it is not None
    assert history.resolve("A", date(2020, 7, 1)) is None
    assert history.resolve("A", date(2022, 1, 3)).symbol == "A"  # type: ignore[union-attr] # it is not None


@given(
    day=DAYS,
    name=st.sampled_from("ABCDE"),
    days=st.lists(DAYS, min_size=3, max_size=3, unique=True).map(sorted),
)
def test_rows_are_named_as_one_asks(day: date, name: str, days: list[date]) -> None:
    history = NameHistory.of([Rename("A", "B", days[0]), Rename("B", "C", days[1]), Rename("D", "A", days[2])])
    rows = pl.DataFrame({"symbol": [name], "event_time": [day]}).with_columns(
        (pl.col("event_time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC") + timedelta(hours=21)).cast(INSTANT)
    )
    found = history.resolve(name, day)
    assert rows.select(history.resolved()).item() == (None if found is None else found.symbol)


def test_a_session_that_closes_at_midnight_is_of_the_day_that_ended() -> None:
    rows = pl.DataFrame({"symbol": ["FB", "META"], "event_time": [date(2022, 6, 9)] * 2})
    rows = rows.with_columns(pl.col("event_time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    assert rows.select(HISTORY.resolved()).to_series().to_list() == ["META", None]


@pytest.mark.parametrize(
    ("renames", "message"),
    [
        ([("A", "A")], "says 'A' for old and new"),
        ([("A", "EUR/USD")], "that is no symbol"),
        ([("A", "C"), ("B", "C")], "give 'C' to C and to C on the same days"),
        ([("A", "B"), ("A", "C")], "give 'A' to"),
    ],
)
def test_renames_that_contradict_each_other_are_refused(renames: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        NameHistory.of([Rename(*each, date(2020, 1, 2)) for each in renames])


def test_a_market_keeps_its_renames_in_its_declaration(tmp_path: Path) -> None:
    market = Market("desk", renames=(Rename(" fb", "meta", date(2022, 6, 9), reason="it says so"),))
    assert market.renames[0].old == "FB"
    market.write(tmp_path)
    assert market_of(tmp_path) == market


def test_a_former_name_is_answered_and_told() -> None:
    known = KnownSymbols(SYMBOLS, DEMO.names)
    asked = known.find("FB")
    assert asked is not None
    assert (asked.symbol, asked.changed_on) == ("META", date(2022, 6, 9))
    assert asked.sentence == "FB is META since 2022-06-09 (Facebook became Meta Platforms)."
    assert known.find("META") == ("META", "META", None)
    later = known.find("GOOGL")
    assert later is not None
    assert (later.symbol, later.changed_on) == ("GOOG", date(2014, 4, 3))
    assert later.sentence.endswith("here it is GOOG.")


def test_a_present_name_is_its_own_though_another_had_it_before() -> None:
    known = KnownSymbols(["META", "FB"], NameHistory.of([FACEBOOK, Rename("ZZZ", "FB", date(2023, 1, 3))]))
    assert known.find("FB") == ("FB", "FB", None)


@pytest.mark.parametrize("asked", ["aapl", " AAPL ", "AA\u200bPL"])
def test_other_spellings_are_found_where_they_are_asked_for(asked: str) -> None:
    known = KnownSymbols(SYMBOLS, DEMO.names)
    assert known.find(asked) is None
    found = known.find(asked, any_spelling=True)
    assert found is not None
    assert found.symbol == "AAPL"


@pytest.mark.parametrize("asked", ["TSLA", "FB", "NFLX", "T", "ZZZZ", "SPY"])
def test_a_far_name_is_no_suggestion(asked: str) -> None:
    error = UnknownNameError("symbol", asked, SYMBOLS)
    assert error.nearest == []
    assert "Did you mean" not in str(error)


@pytest.mark.parametrize(("asked", "near"), [("APPL", "AAPL"), ("MSTF", "MSFT"), ("IBN", "IBM"), ("GOOGLE", "GOOG")])
def test_a_near_name_is_suggested(asked: str, near: str) -> None:
    assert near in UnknownNameError("symbol", asked, SYMBOLS).nearest


def test_every_unknown_name_is_told() -> None:
    known = KnownSymbols(SYMBOLS, DEMO.names)
    with pytest.raises(UnknownNameError, match=r"There is no symbol 'TSLA', and no 'NFLX', 'APPL'\. Did you mean AAPL"):
        known.require(["IBM", "TSLA", "FB", "NFLX", "APPL"])
    assert [each.symbol for each in known.require(["IBM", "FB"])] == ["IBM", "META"]
