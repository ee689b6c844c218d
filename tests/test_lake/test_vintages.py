"""Bars of a feed that re-bases its history: the same returns and actions at once, day by day, or sent again in full."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache

import polars as pl
import pytest

from lake.clock import FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.refine import Refined, as_one_delivery, find_actions, refine_bars, unstored
from lake.sources import BarBatch
from lake.store import Lake, newest_known
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS
from support.vintage_feed import SESSIONS, Action, VintageFeed

ACTIONS_BY_SYMBOL = {
    "TWO": {30: Action(2.0)},
    "SEVEN": {25: Action(7.0, 0.01), 50: Action(dividend=0.012)},
    "TEN": {40: Action(10.0)},
    "REVERSE": {35: Action(0.1)},
    "PAYS": {20: Action(dividend=0.01), 45: Action(dividend=0.02)},
    "NOTHING": {},
}
WINDOW = timedelta(days=9)
PACES = {"at once": (None, SESSIONS[-1:]), "day by day": (WINDOW, SESSIONS), "in full": (None, SESSIONS)}
END = SESSIONS[-1]
each_basis = pytest.mark.parametrize("basis", ["as_traded", "split_adjusted", "adjusted_close_only"])
each_pace = pytest.mark.parametrize("pace", PACES)


def received(feed: VintageFeed, instants: pl.Series) -> pl.DataFrame:
    """What a lake would hold of a feed that is asked at each of these instants."""
    raw = RAW_BARS.empty()
    for now in instants:
        newest = raw["event_time"].max()
        after = None if feed.lookback is None or newest is None else newest - feed.lookback
        batch = feed.read(after, now)
        told = unstored(batch.rows, raw, newest, now)
        raw = pl.concat([raw, as_one_delivery(told.rows, batch.batch_id)[1]])
    return raw


@cache
def refined(basis: str, pace: str) -> Refined:
    lookback, instants = PACES[pace]
    return refine_bars(received(VintageFeed(ACTIONS_BY_SYMBOL, basis, lookback), instants))


def returns(bars: pl.DataFrame, symbol: str, at: datetime = END) -> list[float]:
    known = newest_known(bars.filter(pl.col("symbol") == symbol, pl.col("known_time") <= at))
    return known.select(pl.col("close") / pl.col("close").shift(1) - 1)["close"].to_list()[1:]


def actions(found: Refined) -> list[tuple[object, ...]]:
    """Every action; a dividend as a part of the unadjusted close, which later splits do not change."""
    bars = newest_known(found.bars).select("symbol", "event_time", "close_unadjusted")
    told = find_actions(found.judged).join(bars, on=["symbol", "event_time"])
    part = (pl.col("amount") / pl.col("close_unadjusted")).alias("part")
    return told.sort("symbol", "event_time").select("symbol", "event_time", "kind", "ratio", part).rows()


@each_basis
@each_pace
def test_returns_are_those_of_the_market_at_any_pace(basis: str, pace: str) -> None:
    found = refined(basis, pace)
    assert found.quarantine.is_empty()
    for symbol in ACTIONS_BY_SYMBOL:
        theirs = VintageFeed(ACTIONS_BY_SYMBOL, basis).returns(symbol)
        assert returns(found.bars, symbol) == pytest.approx(theirs, abs=1e-12), symbol


@each_basis
@each_pace
def test_prices_as_traded_are_those_of_the_market_at_any_pace(basis: str, pace: str) -> None:
    bars = newest_known(refined(basis, pace).bars)
    for symbol in ACTIONS_BY_SYMBOL:
        found = bars.filter(pl.col("symbol") == symbol).sort("event_time")
        traded = VintageFeed(ACTIONS_BY_SYMBOL, basis).traded(symbol)
        is_told = basis != "adjusted_close_only"
        assert found["close_traded"].to_list() == (
            pytest.approx(traded, rel=1e-12) if is_told else [None] * len(traded)
        )
        assert found["price_basis"].unique().to_list() == [basis]


@each_basis
def test_stored_bars_never_move(basis: str) -> None:
    for pace in PACES:
        assert refined(basis, pace).bars.height == len(SESSIONS) * len(ACTIONS_BY_SYMBOL)


@each_basis
def test_actions_are_the_same_at_any_pace(basis: str) -> None:
    first = actions(refined(basis, "at once"))
    for pace in PACES:
        rows = actions(refined(basis, pace))
        assert [row[:3] for row in rows] == [row[:3] for row in first], pace
        for ours, theirs in zip(rows, first, strict=True):
            assert ours[3:] == pytest.approx(theirs[3:], abs=1e-12)


def test_the_actions_are_those_that_the_market_had() -> None:
    found = actions(refined("as_traded", "in full"))
    traded = [(row[0], SESSIONS.index_of(row[1]), row[2], round(row[3], 9)) for row in found]
    assert traded == [
        ("PAYS", 20, "dividend", 1.0),
        ("PAYS", 45, "dividend", 1.0),
        ("REVERSE", 35, "split", 0.1),
        ("SEVEN", 25, "split", round(7 / 0.99, 9)),
        ("SEVEN", 50, "dividend", 1.0),
        ("TEN", 40, "split", 10.0),
        ("TWO", 30, "split", 2.0),
    ]


class Corrected(VintageFeed):
    """A feed whose newest bar is preliminary: the prices of some sessions are right only from the day after."""

    wrong: Mapping[int, float] = {}

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        batch = super().read(after, until)
        rows = batch.rows
        for session, factor in self.wrong.items():
            if until == SESSIONS[session]:
                is_newest = pl.col("event_time") == until
                rows = rows.with_columns(
                    pl.when(is_newest)
                    .then((pl.col(name).cast(pl.Float64) * factor).cast(pl.String))
                    .otherwise(name)
                    .alias(name)
                    for name in ("close", "adj_close", "high")
                )
        return BarBatch(batch.batch_id, rows)


@each_basis
@pytest.mark.parametrize("lookback", [timedelta(days=4), WINDOW, None], ids=["four days", "nine days", "all"])
def test_a_corrected_price_is_no_action_and_moves_no_other_bar(basis: str, lookback: timedelta | None) -> None:
    feed = Corrected(ACTIONS_BY_SYMBOL, basis, lookback)
    feed.wrong = {5: 1.01, 10: 1.08, 33: 1.003, 37: 1.12}
    found = refine_bars(received(feed, SESSIONS))
    assert found.quarantine.is_empty()
    for symbol in ACTIONS_BY_SYMBOL:
        assert returns(found.bars, symbol) == pytest.approx(feed.returns(symbol), abs=1e-12), symbol
        versions = found.bars.filter(pl.col("symbol") == symbol)
        assert versions.height == len(SESSIONS) + len(feed.wrong), symbol
    assert [row[:3] for row in actions(found)] == [row[:3] for row in actions(refined(basis, "at once"))]


@pytest.mark.parametrize("decimals", [2, 4])
@each_basis
def test_prices_rounded_in_print_give_the_same_actions_and_nearly_the_same_returns(basis: str, decimals: int) -> None:
    for lookback in (WINDOW, None):
        feed = VintageFeed(ACTIONS_BY_SYMBOL, basis, lookback, decimals)
        found = refine_bars(received(feed, SESSIONS))
        assert found.quarantine.is_empty()
        for symbol in ACTIONS_BY_SYMBOL:
            assert returns(found.bars, symbol) == pytest.approx(feed.returns(symbol), abs=4 * 10.0**-decimals)
        assert [row[:3] for row in actions(found)] == [row[:3] for row in actions(refined(basis, "at once"))]


@pytest.mark.parametrize("lookback", [WINDOW, None])
def test_runs_after_each_delivery_give_what_one_run_gives(lookback: timedelta | None, lake: Lake) -> None:
    few = {"SEVEN": {6: Action(7.0, 0.01)}, "PAYS": {4: Action(dividend=0.01), 7: Action(dividend=0.02)}}
    feed = VintageFeed(few, "as_traded", lookback)
    for at in SESSIONS[:10]:
        ingest_bars(lake, feed, FixedClock(at))
        refine_to_lake(lake, FixedClock(at))
    assert (lake.report(BARS).rows, lake.report(QUARANTINE).rows) == (20, 0)
    for symbol in few:
        assert returns(lake.read(BARS), symbol) == pytest.approx(feed.returns(symbol)[:9], abs=1e-12)
    assert lake.report(ACTIONS).rows == 3
    (lake.root / ".stamps" / "refine.json").unlink()
    assert [report.added for report in refine_to_lake(lake, FixedClock(SESSIONS[9]))] == [0, 0, 0]
