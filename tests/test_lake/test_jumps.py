"""A close that jumps without a reason is held back; a person, or what the source says later, lets it go."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from lake.clock import FixedClock
from lake.errors import SourceError
from lake.ingest import ingest_bars, refine_to_lake, release
from lake.refine import refine_bars
from lake.report import Report
from lake.store import Lake
from lake.tables import BARS, QUARANTINE
from support.raw_rows import RowSource
from support.vintage_feed import SESSIONS, Action, VintageFeed

END = SESSIONS[9]
PRICES = ("open", "high", "low", "close", "adj_close")
QUIET = VintageFeed({"OTHER": {}, "SHARE": {}}, "split_adjusted").read(None, END).rows
is_share = pl.col("symbol") == "SHARE"


def scaled(factor: float, where: pl.Expr) -> pl.DataFrame:
    """The quiet market with some prices of SHARE multiplied by a factor."""
    prices = [(pl.col(name).cast(pl.Float64) * factor).cast(pl.String).alias(name) for name in PRICES]
    return QUIET.with_columns(
        pl.when(is_share & where).then(price).otherwise(price.meta.output_name()).alias(price.meta.output_name())
        for price in prices
    )


def since(session: int) -> pl.Expr:
    return pl.col("event_time") >= SESSIONS[session]


ANOTHER_COMPANY = scaled(15.0, since(5))
FURTHER_SPLITS = [(7.0, "as_traded"), (7.0, "split_adjusted"), (10.0, "split_adjusted"), (0.1, "as_traded")]
"""Beside the two corners: they take the same way."""


def live(lake: Lake, source: RowSource | VintageFeed, *instants: datetime) -> tuple[Report, Report, Report]:
    for at in instants:
        ingest_bars(lake, source, FixedClock(at))
        reports = refine_to_lake(lake, FixedClock(at))
    return reports


def held(lake: Lake) -> list[datetime]:
    rows = lake.read(QUARANTINE)
    assert set(rows["reason"]) <= {"unexplained_jump"}
    return rows["event_time"].sort().to_list()


def stored(lake: Lake) -> list[datetime]:
    return lake.read(BARS, where=is_share)["event_time"].sort().to_list()


@pytest.mark.parametrize("instants", [[END], SESSIONS[:10].to_list()], ids=["at once", "day by day"])
def test_a_ticker_that_became_another_company_is_held_back_from_then_on(lake: Lake, instants: list[datetime]) -> None:
    *_, quarantine = live(lake, RowSource(ANOTHER_COMPANY, "feed"), *instants)
    assert held(lake) == SESSIONS[5:10].to_list()
    assert stored(lake) == SESSIONS[:5].to_list()
    assert lake.report(BARS).rows == 10 + 5, "the other symbol goes on"
    assert quarantine.warnings[0].startswith("SHARE: ")
    assert f"the first that of {SESSIONS[5 if len(instants) == 1 else 9]:%Y-%m-%d}: " in quarantine.warnings[0]
    assert "release them with `quantlake market release`" in quarantine.warnings[0]


@pytest.mark.parametrize("instants", [[END], SESSIONS[:10].to_list()], ids=["at once", "day by day"])
def test_one_bar_in_another_unit_is_held_back_alone(lake: Lake, instants: list[datetime]) -> None:
    live(lake, RowSource(scaled(100.0, pl.col("event_time") == SESSIONS[5]), "feed"), *instants)
    assert held(lake) == [SESSIONS[5]]
    assert len(stored(lake)) == 9


@pytest.mark.parametrize("factor", [2.9, 1 / 2.9])
def test_what_can_happen_in_a_night_is_a_bar(factor: float) -> None:
    assert refine_bars(scaled(factor, since(5))).quarantine.height == 0


@pytest.mark.parametrize("factor", [3.3, 1 / 3.3])
def test_what_no_night_brings_is_not(factor: float) -> None:
    assert refine_bars(scaled(factor, since(5))).quarantine.height == 5


def test_a_person_releases_a_bar_and_those_after_it(lake: Lake) -> None:
    source = RowSource(ANOTHER_COMPANY, "feed")
    live(lake, source, END)
    later = FixedClock(END + timedelta(hours=1))
    assert release(lake, "SHARE", SESSIONS[5], later).added == 5
    bars, _, quarantine = refine_to_lake(lake, later)
    assert (bars.added, quarantine.added) == (5, 0)
    assert stored(lake) == SESSIONS[:10].to_list()
    closes = lake.read(BARS, where=is_share).sort("event_time")["close"]
    assert closes[5] / closes[4] == pytest.approx(15, rel=0.1)
    assert lake.read_as_of(BARS, END, where=is_share).height == 5, "it is known from the release on"
    assert release(lake, "SHARE", SESSIONS[5], later).added == 0
    live(
        lake,
        RowSource(
            VintageFeed({"OTHER": {}, "SHARE": {}}, "split_adjusted")
            .read(None, SESSIONS[10])
            .rows.with_columns(
                pl.when(is_share).then((pl.col(name).cast(float) * 15).cast(str)).otherwise(name).alias(name)
                for name in PRICES
            ),
            "feed",
        ),
        SESSIONS[10],
    )
    assert stored(lake)[-1] == SESSIONS[10], "the next session goes on from there"


def test_only_a_bar_that_is_held_back_can_be_released(lake: Lake) -> None:
    clock = FixedClock(END)
    with pytest.raises(SourceError, match=r"No bar of 'SHARE' that closed at 2012-10-05.* None is"):
        release(lake, "SHARE", SESSIONS[4], clock)
    live(lake, RowSource(ANOTHER_COMPANY, "feed"), END)
    with pytest.raises(SourceError, match=f"The first that is closed at {SESSIONS[5].isoformat()[:10]}"):
        release(lake, "SHARE", SESSIONS[4], clock)


@pytest.mark.parametrize(
    ("ratio", "basis"),
    [
        (10.0, "as_traded"),
        (0.1, "split_adjusted"),
        *(pytest.param(ratio, basis, marks=pytest.mark.slow) for ratio, basis in FURTHER_SPLITS),
    ],
)
def test_a_feed_that_tells_only_the_newest_bar_shows_no_fall_where_it_split(
    lake: Lake, basis: str, ratio: float
) -> None:
    feed = VintageFeed({"SHARE": {5: Action(ratio)}}, basis)
    *_, quarantine = live(lake, feed, *SESSIONS[:10])
    assert held(lake) == SESSIONS[5:10].to_list()
    assert "Send the bars before it again" in quarantine.warnings[0]


@pytest.mark.parametrize("basis", [pytest.param("as_traded", marks=pytest.mark.slow), "split_adjusted"])
def test_the_bars_before_it_sent_again_explain_what_was_held_back(lake: Lake, basis: str) -> None:
    feed = VintageFeed({"SHARE": {5: Action(10.0, 0.01)}}, basis)
    live(lake, feed, *SESSIONS[:8])
    assert len(held(lake)) == 3
    feed.lookback = timedelta(days=14)
    live(lake, feed, *SESSIONS[8:10])
    bars = lake.read(BARS).sort("event_time")
    assert bars["close"].pct_change().to_list()[1:] == pytest.approx(feed.returns("SHARE")[:9], abs=1e-12)
    assert bars["known_time"].to_list() == [*SESSIONS[:5], *[SESSIONS[8]] * 4, SESSIONS[9]]
    assert len(held(lake)) == 3, "the quarantine keeps its record"
    (lake.root / ".stamps" / "refine.json").unlink()
    assert [report.added for report in refine_to_lake(lake, FixedClock(END))] == [0, 0, 0]


def test_an_action_that_the_source_learns_late_restates_the_bars_after_it(lake: Lake) -> None:
    feed = VintageFeed({"SHARE": {5: Action(dividend=0.02, late=2)}}, "as_traded", timedelta(days=14))
    live(lake, feed, *SESSIONS[:10])
    then, now = (lake.read_as_of(BARS, at)["close"] for at in (SESSIONS[6], END))
    truth = feed.returns("SHARE")[:9]
    assert now.pct_change().to_list()[1:] == pytest.approx(truth, abs=1e-12)
    assert then.pct_change()[5] == pytest.approx((1 + truth[4]) * 0.98 - 1, abs=1e-12)
    assert now[:5].to_list() == then[:5].to_list(), "what is older does not move"
    assert lake.report(BARS).rows == 10 + 2


@pytest.mark.parametrize("ratio", [2.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_split_in_two_that_only_the_newest_bar_shows_is_said(lake: Lake, ratio: float) -> None:
    feed = VintageFeed({"SHARE": {5: Action(ratio)}, "OTHER": {}}, "split_adjusted")
    assert live(lake, feed, *SESSIONS[:5])[0].warnings[1:] == ()
    warnings = [one for one in live(lake, feed, SESSIONS[5])[0].warnings if "half or twice" in one]
    assert warnings[0].startswith(f"SHARE: the close of {SESSIONS[5]:%Y-%m-%d} is about half or twice the one before")
    assert len(warnings) == 1
    feed.lookback = timedelta(days=14)
    bars, *_ = live(lake, feed, SESSIONS[6])
    assert not any("half or twice" in one for one in bars.warnings)
    closes = lake.read_as_of(BARS, SESSIONS[6], where=is_share)["close"]
    assert closes.pct_change().to_list()[1:] == pytest.approx(feed.returns("SHARE")[:6], abs=1e-12)
