"""Totals of sessions in memory: whatever bars came since, they are those of one pass over all bars."""

from datetime import timedelta
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from feature_repo.materialize import totals, update_regimes
from feature_repo.regimes import compute_regimes, session_totals
from lake.clock import FixedClock
from lake.sources import tiny_market
from lake.store import Lake, Watermark
from lake.tables import BARS, REGIMES
from lake.universe import MARKET
from support.properties import examples

BARS_OF_ALL = tiny_market(["AAA", "BBB", "CCC", "DDD", MARKET], sessions=260, seed=9)
SESSIONS = BARS_OF_ALL["event_time"].unique().sort().to_list()


def at(session: int) -> pl.DataFrame:
    return BARS_OF_ALL.filter(pl.col("event_time") == SESSIONS[session])


def totals_now(lake: Lake, now: int) -> pl.DataFrame:
    return totals.session_totals_of(lake, Watermark(lake.version(BARS), SESSIONS[now]))


@examples(8, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 10_000))
def test_any_days_end_as_one_pass(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Late bars, restated ones, those of the index among them, a new listing, and days that nothing was computed."""
    random = np.random.default_rng(seed)
    lake = Lake(tmp_path_factory.mktemp("lake"))
    is_late = pl.Series(random.random(BARS_OF_ALL.height) < 0.01)
    is_new = (BARS_OF_ALL["symbol"] == "DDD") & (BARS_OF_ALL["event_time"] < SESSIONS[-4])
    bars = BARS_OF_ALL.filter(~is_new)
    is_late = is_late.filter(~is_new) & (bars["event_time"] < SESSIONS[-5])
    lake.merge(BARS, bars.filter(~is_late & (bars["event_time"] <= SESSIONS[-5])))
    totals_now(lake, -5)
    for number in range(-4, 0):
        known = pl.lit(SESSIONS[number]).alias("known_time")
        late = bars.filter(is_late)[number + 4 :: 4].with_columns(known)
        old = lake.read_as_of(BARS, SESSIONS[number - 1])
        again = old[np.unique(random.integers(0, old.height, random.integers(0, 3)))]
        again = again.with_columns(pl.col("close") * 1.02, known).join(late, on=["symbol", "event_time"], how="anti")
        lake.merge(BARS, pl.concat([bars.filter(bars["event_time"] == SESSIONS[number]), late, again]))
        if random.random() < 0.7 or number == -1:
            whole = session_totals(lake.read_as_of(BARS, SESSIONS[number]))
            assert_frame_equal(totals_now(lake, number), whole, rel_tol=1e-9, abs_tol=1e-12)


def test_a_new_session_reads_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = Lake(tmp_path)
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") < SESSIONS[-1]))
    before = totals_now(lake, -2)
    lake.merge(BARS, at(-1))
    whole = Mock(wraps=totals.session_totals)
    monkeypatch.setattr(totals, "session_totals", whole)
    after = totals_now(lake, -1)
    assert not whole.called
    assert_frame_equal(after.head(-1), before)
    assert after["event_time"][-1] == SESSIONS[-1]


def test_a_bar_that_is_not_known_yet_counts_for_nothing(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") < SESSIONS[-1]))
    before = totals_now(lake, -2)
    lake.merge(BARS, at(-1).with_columns(pl.col("known_time") + timedelta(hours=1)))
    assert_frame_equal(totals_now(lake, -1), before)


def test_another_lake_has_totals_of_its_own(tmp_path: Path) -> None:
    ours, other = Lake(tmp_path / "ours"), Lake(tmp_path / "other")
    ours.merge(BARS, BARS_OF_ALL)
    other.merge(BARS, BARS_OF_ALL.filter(pl.col("symbol") != "AAA"))
    assert totals_now(ours, -1)["n"][-1] == 4
    assert totals_now(other, -1)["n"][-1] == 3


def test_regimes_of_one_more_session_are_those_of_all_bars(tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") < SESSIONS[-1]))
    update_regimes(lake, FixedClock(SESSIONS[-2]))
    lake.merge(BARS, at(-1))
    assert update_regimes(lake, FixedClock(SESSIONS[-1])).added == 1
    whole = compute_regimes(BARS_OF_ALL)
    assert_frame_equal(lake.read_as_of(REGIMES, SESSIONS[-1]), whole.sort("event_time"), rel_tol=1e-9)
