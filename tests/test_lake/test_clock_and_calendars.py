"""Time: UTC only, forward only, and sessions close when the exchange says so."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lake.calendars import LAST_SESSION, close_of, closes, next_closes, session_closes
from lake.clock import DEMO_START, FixedClock, ReplayClock, SystemClock, require_utc
from lake.errors import ConfigError


def test_the_replayed_market_starts_at_the_last_close_of_2012(tmp_path: Path) -> None:
    assert ReplayClock(tmp_path / "clock.json").now() == DEMO_START == close_of(date(2012, 12, 31))


def test_a_moved_clock_stays_moved_for_every_process(tmp_path: Path) -> None:
    path = tmp_path / "home" / "clock.json"
    ReplayClock(path).move_to(datetime(2013, 1, 2, 16, tzinfo=ZoneInfo("America/New_York")))
    assert ReplayClock(path).now() == datetime(2013, 1, 2, 21, tzinfo=UTC)
    assert [entry.name for entry in path.parent.iterdir()] == ["clock.json"]


def test_time_only_moves_forward(tmp_path: Path) -> None:
    clock = ReplayClock(tmp_path / "clock.json")
    with pytest.raises(ConfigError, match=r"stands at 2012-12-31T21:00:00\+00:00 and cannot go back"):
        clock.move_to(DEMO_START - timedelta(seconds=1))
    clock.move_to(DEMO_START)
    assert clock.now() == DEMO_START


@pytest.mark.parametrize("content", ["", "{}", '{"now": "soon"}', '{"now": "2013-01-02T21:00:00"}', "[]"])
def test_a_broken_clock_says_how_to_mend_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "clock.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r'cannot be read.*[^.]\. Write the instant .*"2012-12-31T21:00:00\+00:00"'):
        ReplayClock(path).now()


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"2013-01-02T21:00:00 has no zone"):
        require_utc(datetime(2013, 1, 2, 21))  # noqa: DTZ001 - the point
    with pytest.raises(ConfigError, match="has no zone"):
        FixedClock(datetime(2013, 1, 2, 21)).now()  # noqa: DTZ001 - the point


def test_the_wall_clock_is_in_utc() -> None:
    assert SystemClock().now().utcoffset() == timedelta(0)


# Hours from the exchange's own announcements: regular close 16:00 New York, early close 13:00.
@pytest.mark.parametrize(
    ("session", "close"),
    [
        (date(2012, 7, 2), datetime(2012, 7, 2, 20, tzinfo=UTC)),  # summer
        (date(2012, 12, 31), datetime(2012, 12, 31, 21, tzinfo=UTC)),  # winter
        (date(2012, 3, 9), datetime(2012, 3, 9, 21, tzinfo=UTC)),  # the Friday before the clocks change
        (date(2012, 3, 12), datetime(2012, 3, 12, 20, tzinfo=UTC)),  # the Monday after
        (date(2006, 4, 3), datetime(2006, 4, 3, 20, tzinfo=UTC)),  # until 2006 they changed in April
        (date(2012, 11, 23), datetime(2012, 11, 23, 18, tzinfo=UTC)),  # the day after Thanksgiving
        (date(2012, 7, 3), datetime(2012, 7, 3, 17, tzinfo=UTC)),  # before Independence Day
        (date(2012, 12, 24), datetime(2012, 12, 24, 18, tzinfo=UTC)),  # Christmas Eve
    ],
)
def test_sessions_close_when_the_exchange_says(session: date, close: datetime) -> None:
    assert close_of(session) == close


@pytest.mark.parametrize(
    "session",
    [
        date(2012, 6, 16),  # Saturday
        date(2012, 12, 25),
        date(2012, 10, 29),  # hurricane Sandy
        date(2001, 9, 11),
        date(2004, 6, 11),  # mourning for President Reagan
        date(2007, 1, 2),  # mourning for President Ford
    ],
)
def test_a_day_without_trading_is_no_session(session: date) -> None:
    with pytest.raises(ConfigError, match=f"{session} is no session of XNYS"):
        close_of(session)


def test_an_interval_of_sessions_is_open_on_the_left_and_closed_on_the_right() -> None:
    friday, monday = close_of(date(2012, 12, 28)), close_of(date(2012, 12, 31))
    assert session_closes(friday, monday) == [monday]
    assert session_closes(friday - timedelta(microseconds=1), monday) == [friday, monday]
    assert session_closes(monday, monday) == []


def test_the_next_sessions_step_over_holidays() -> None:
    assert next_closes(DEMO_START, 2) == [close_of(date(2013, 1, 2)), close_of(date(2013, 1, 3))]
    assert len(next_closes(DEMO_START, 41)) == 41
    assert next_closes(DEMO_START, 41)[-1] == close_of(date(2013, 3, 1))


def test_the_end_of_the_calendar_is_an_error_not_a_short_answer() -> None:
    with pytest.raises(ConfigError, match=f"calendar of XNYS ends on {LAST_SESSION}"):
        next_closes(closes()["event_time"][-2], 2)
