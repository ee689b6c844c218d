"""Horizons, intervals and the grids that bars lie on."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from lake.calendars import (
    close_before,
    close_of,
    closes,
    count_closes,
    is_close,
    last_close,
    next_closes,
    numbered_closes,
    session_after,
    session_closes,
    session_of,
)
from lake.errors import ConfigError, UnknownNameError
from lake.horizon_ends import bars_spanned, horizon_ends
from lake.horizons import SESSION_OF_MINUTES, Horizon, bars_of
from lake.market import BTC, DEMO, Market


@pytest.mark.parametrize("text", ["", "five sessions", "0 sessions", "5 days", "-1 session", "5", "1.5 sessions"])
def test_what_is_no_horizon_is_refused_with_two_that_are(text: str) -> None:
    with pytest.raises(ConfigError, match="'5 sessions' or '60 minutes'"):
        Horizon.parse(text)


@pytest.mark.parametrize(
    ("horizons", "interval", "message"),
    [
        (("15 minutes", "50 minutes"), "15m", "multiple of 15 minutes"),
        (("1 session",), "15m", "begin with a single bar"),
        (("15 minutes", "1 session", "60 minutes"), "15m", "those in sessions last"),
        (("15 minutes", "300 sessions"), "15m", "spans 300 sessions, 252 is the most"),
        (("15 minutes",), "1d", "those of the market are daily"),
        (("5 sessions",), "1d", "begin with a single bar"),
        (("5 sessions", "1 session"), "1d", "ascending"),
        (("1 session", "300 sessions"), "1d", "252 is the most"),
        ((), "1d", "The horizons are none"),
    ],
)
def test_horizons_that_do_not_fit_the_bars_are_refused(horizons: tuple[str, ...], interval: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bars_of(horizons, interval)
    with pytest.raises(ConfigError, match=message):
        Market("desk", interval=interval, horizons=horizons)  # type: ignore[arg-type] # drawn from the table


def test_markets_made_before_there_were_horizons_have_those_of_then() -> None:
    assert (DEMO.interval, DEMO.grid, DEMO.horizon_bars) == ("1d", "XNYS", (1, 5))
    assert (BTC.grid, BTC.horizon_bars) == ("24/7@15m", (1, 4))


@pytest.mark.parametrize(
    ("grid", "session", "ends"),
    [
        ("XNYS@60m", (2012, 11, 23), ["15:30", "16:30", "17:30", "18:00"]),  # the day after Thanksgiving
        ("XHKG@60m", (2021, 6, 1), ["02:30", "03:30", "04:00", "06:00", "07:00", "08:00"]),  # lunch 04:00 to 05:00
        ("24/5@60m", (2021, 6, 4), [*(f"{hour:02}:00" for hour in range(1, 24)), "00:00"]),
    ],
)
def test_bars_end_within_trading_hours_and_with_the_session(
    grid: str, session: tuple[int, int, int], ends: list[str]
) -> None:
    day = datetime(*session, tzinfo=UTC)
    found = session_closes(day, day + timedelta(days=1), grid)
    assert [f"{at:%H:%M}" for at in found] == ends
    assert found[-1] == close_of(day.date(), grid)
    assert {session_of(at, grid) for at in found} == {day.date()}


@pytest.mark.parametrize("grid", ["XNYS", "XNYS@60m", "24/7", "24/7@15m", "XHKG@5m"])
def test_every_way_to_ask_for_closes_agrees(grid: str) -> None:
    """Across the end of a year, where bars of one session may close in the next."""
    start, end = datetime(2020, 12, 29, 12, tzinfo=UTC), datetime(2021, 1, 6, 12, tzinfo=UTC)
    found = session_closes(start, end, grid)
    assert found == sorted(set(found))
    assert next_closes(start, len(found), grid) == found
    assert count_closes(start, end, grid) == len(found)
    assert last_close(end, grid) == found[-1] == last_close(found[-1], grid)
    assert close_before(end + timedelta(microseconds=1), len(found), grid) == found[0]
    assert close_before(found[-1], 1, grid) == found[-2]
    assert is_close(pl.Series(found), grid).all()
    assert not is_close(pl.Series(found) + timedelta(seconds=1), grid).any()


def test_an_unknown_interval_is_named() -> None:
    with pytest.raises(UnknownNameError, match="interval"):
        session_closes(datetime(2021, 1, 4, tzinfo=UTC), datetime(2021, 1, 5, tzinfo=UTC), "XNYS@7m")


def test_the_sessions_of_a_grid_are_those_of_its_calendar() -> None:
    assert closes("XNYS@1m").equals(closes("XNYS"))


def test_a_market_of_minutes_declares_sessions_beside_minutes() -> None:
    said = ("15 minutes", "60 minutes", "1 session", "5 sessions")
    market = Market("desk", calendar="24/7", interval="15m", horizons=said)
    assert market.horizon_bars == (1, 4, 1_000, 5_000)
    assert tuple(str(market.horizon_of(bars)) for bars in market.horizon_bars) == said
    assert [market.horizon_of(bars).member for bars in (4, 5_000)] == ["horizon_minutes", "horizon_sessions"]


@pytest.mark.parametrize(("calendar", "interval"), [("XNYS", "60m"), ("24/7", "60m"), ("XTKS", "15m")])
def test_a_horizon_in_sessions_ends_with_the_last_bar_of_a_later_session(calendar: str, interval: str) -> None:
    grid = f"{calendar}@{interval}"
    first, last = (datetime(2012, month, day, 23, tzinfo=UTC) for month, day in ((11, 1), (12, 14)))
    bars = numbered_closes(first, last, grid)["event_time"]
    of = [session_of(at, grid) for at in bars]  # by another way: the session of each bar, and its last bar
    ends = {day: max(at for at, own in zip(bars, of, strict=True) if own == day) for day in of[:-1]}
    days = sorted(set(of))
    whole = [day for day in days if close_of(day, calendar) <= last]
    for sessions in (1, 5):
        found = horizon_ends(bars, sessions * SESSION_OF_MINUTES, grid).to_list()
        for at, own, end in zip(bars, of, found, strict=True):
            place = days.index(own) + sessions
            assert end == (ends[days[place]] if place < len(whole) else None), at
            if end is not None:
                assert session_after(at, sessions * SESSION_OF_MINUTES, grid) == days[place]
        spans = [bars.search_sorted(end) - place for place, end in enumerate(found) if end is not None]
        assert max(spans) <= bars_spanned(sessions * SESSION_OF_MINUTES, grid).most


def test_on_a_grid_of_days_a_horizon_in_sessions_counts_bars() -> None:
    bars = numbered_closes(datetime(2012, 12, 3, tzinfo=UTC), datetime(2012, 12, 31, 23, tzinfo=UTC))["event_time"]
    assert horizon_ends(bars, 5).to_list() == [*bars[5:], *[None] * 5]


def test_a_symbol_of_minutes_counts_as_delisted_after_sessions_not_bars() -> None:
    days, minutes = Market("days"), Market("minutes", calendar="24/7", interval="15m", horizons=("15 minutes",))
    assert (days.delisted_after_bars, minutes.delisted_after_bars) == (20, 20 * 96)
