"""The calendar features against the almanac."""

from datetime import date

import polars as pl
import pytest

from feature_repo.catalog.calendar import CALENDAR
from feature_repo.engines.panel import compute_group
from lake import calendars
from lake.sources import tiny_market

FEATURES = compute_group(tiny_market(["AAA"], 1000, seed=16), CALENDAR)
DAYS = FEATURES.with_columns(pl.col("event_time").dt.convert_time_zone("America/New_York").dt.date().alias("day"))


def test_weekdays_are_those_of_the_date() -> None:
    assert [row["day_of_week"] for row in DAYS.iter_rows(named=True)] == [day.isoweekday() for day in DAYS["day"]]


@pytest.mark.parametrize(
    ("day", "left"),
    [
        (date(2012, 12, 31), 0),
        (date(2012, 12, 24), 4),  # the 25th is closed
        (date(2012, 11, 1), 20),  # Thanksgiving is closed, the Friday after it ends early and counts
        (date(2012, 2, 28), 1),  # a leap year
    ],
)
def test_sessions_to_the_end_of_the_month(day: date, left: int) -> None:
    assert DAYS.filter(pl.col("day") == day)["sessions_to_month_end"].to_list() == [left]


def test_it_falls_by_one_each_session_until_the_month_ends() -> None:
    told = DAYS.with_columns(
        pl.col("sessions_to_month_end").shift(1).alias("before"), pl.col("day").dt.month().alias("month")
    )
    within = told.filter(pl.col("month") == pl.col("month").shift(1))
    jumps = within.filter(pl.col("before") - 1 != pl.col("sessions_to_month_end"))
    assert jumps["day"].to_list() == [date(2012, 10, 31)]  # after the closing that nobody had planned
    assert told.filter(pl.col("month") != pl.col("month").shift(1))["before"].to_list() == [0] * 47


def test_a_bar_that_closes_at_no_sessions_close_has_no_place_in_the_calendar() -> None:
    bars = tiny_market(["AAA"], 5, seed=16).with_columns(pl.col("event_time").dt.offset_by("1m"))
    features = compute_group(bars, CALENDAR)
    assert features["day_of_week"].null_count() == features["sessions_to_month_end"].null_count() == 5


@pytest.mark.parametrize(
    ("session", "left"),
    [
        (date(2012, 10, 26), 3),  # the hurricane of the 29th and 30th was not on the calendar
        (date(2012, 10, 31), 0),
        (date(2001, 9, 10), 14),
        (date(2001, 9, 17), 9),
    ],
)
def test_an_unforeseen_closing_is_not_known_beforehand(session: date, left: int) -> None:
    at = calendars.close_of(session)
    bars = tiny_market(["AAA"], 2, 0, until=at)
    told = compute_group(bars, CALENDAR).filter(pl.col("event_time") == at)
    assert told["sessions_to_month_end"].to_list() == [left]
