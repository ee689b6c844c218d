"""The steps that bring the feature tables up to the market's now."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize.update import update_labels, update_regimes, update_technical, update_windows
from feature_repo.targets.windows import FORECAST_V2, window_hash
from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError, TableNotFoundError
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources import PackagedMarket
from lake.store import Lake
from lake.tables import BARS, LABELS, MODEL_WINDOWS, REGIMES
from lake.universe import MARKET

STEPS = (update_technical, update_labels, update_regimes, update_windows)
PRICED = ["event_time", "reference_price", "price_basis"]
TABLES = (FEATURES_TECHNICAL, LABELS, REGIMES, MODEL_WINDOWS)
NOW = FixedClock(DEMO_START)


def run_all(lake: Lake, clock: FixedClock) -> list:
    return [step(lake, clock) for step in STEPS]


def test_a_second_run_does_nothing_and_says_why(make_lake: Callable, small_market: Callable) -> None:
    lake = make_lake(small_market(320))
    first = run_all(lake, NOW)
    assert [report.skipped for report in first] == [False] * 4
    assert all(report.added == report.rows > 0 for report in first)
    versions = lake.versions(TABLES)
    second = run_all(lake, NOW)
    assert [report.skipped for report in second] == [True] * 4
    assert all("nothing new in bars" in report.details["reason"] for report in second)
    assert lake.versions(TABLES) == versions


def test_a_lost_stamp_costs_time_and_nothing_else(make_lake: Callable, small_market: Callable) -> None:
    lake = make_lake(small_market(320))
    run_all(lake, NOW)
    versions = lake.versions(TABLES)
    for stamp in (lake.root / ".stamps").iterdir():
        stamp.write_text("{torn", encoding="utf-8")
    reports = run_all(lake, NOW)
    assert lake.versions(TABLES) == versions
    assert [report.details["reason"] for report in reports] == ["what was computed is already stored"] * 4


def test_without_bars_the_step_says_which_table_is_missing(lake: Lake) -> None:
    with pytest.raises(TableNotFoundError, match="'bars' does not exist"):
        update_technical(lake, NOW)


def test_nothing_later_than_now_is_read_or_written(make_lake: Callable, small_market: Callable) -> None:
    bars = small_market(320)
    cut = bars["event_time"].unique().sort()[-10]
    lake = make_lake(bars)
    run_all(lake, FixedClock(cut))
    for spec in TABLES:
        stored = lake.read(spec)
        assert stored["event_time"].max() <= cut, spec.name
        assert stored["known_time"].max() <= cut, spec.name
    labels = lake.read(LABELS).filter(pl.col("symbol") == "AAA")
    ends = labels.group_by("horizon_sessions").agg(pl.col("event_time").max()).sort("horizon_sessions")
    sessions = bars["event_time"].unique().sort()
    assert ends["event_time"].to_list() == [sessions[-11], sessions[-15]]


def test_day_by_day_equals_one_jump(make_lake: Callable, small_market: Callable, tmp_path) -> None:
    """Bars arrive session by session in one lake and all at once in the other."""
    bars = small_market(320)
    sessions = bars["event_time"].unique().sort()
    stepped, jumped = Lake(tmp_path / "stepped"), make_lake(bars)
    stepped.merge(BARS, bars.filter(pl.col("event_time") <= sessions[-4]))
    for session in sessions[-4:]:
        stepped.merge(BARS, bars.filter(pl.col("event_time") == session))
        run_all(stepped, FixedClock(session))
    run_all(jumped, NOW)
    for spec in (FEATURES_TECHNICAL, LABELS, REGIMES):
        ours, theirs = (lake.read_as_of(spec, DEMO_START) for lake in (stepped, jumped))
        assert ours.height == stepped.read(spec).height, "a second row for a key would be a restatement that never was"
        assert_frame_equal(ours, theirs, rel_tol=1e-9, abs_tol=0)
    windows = stepped.read(MODEL_WINDOWS)
    assert windows["event_time"].n_unique() == 4
    latest, once = (
        frame.filter(pl.col("event_time") == sessions[-1]).drop("table_versions").sort("symbol")
        for frame in (windows, jumped.read(MODEL_WINDOWS))
    )
    assert_frame_equal(latest, once)


def test_years_limit_what_is_stored_and_not_what_is_looked_back_on(make_lake: Callable, small_market: Callable) -> None:
    lake = make_lake(small_market(320))
    update_technical(lake, NOW, years=[2012])
    assert set(lake.read(FEATURES_TECHNICAL)["event_time"].dt.year()) == {2012}
    partial = lake.read_as_of(FEATURES_TECHNICAL, DEMO_START)
    assert not update_technical(lake, NOW).skipped
    full = lake.read_as_of(FEATURES_TECHNICAL, DEMO_START)
    assert_frame_equal(partial, full.filter(pl.col("event_time").dt.year() == 2012))
    sessions = small_market(320)["event_time"].unique()
    earlier = (sessions.dt.year() < 2012).sum()
    assert partial["return_252d"].null_count() == 2 * (252 - earlier)


def test_a_restated_bar_restates_what_looked_at_it_and_keeps_what_was_known(
    make_lake: Callable, small_market: Callable
) -> None:
    bars = small_market(320).sort("symbol", "event_time")
    sessions = bars["event_time"].unique().sort()
    restated_at, hour_later = sessions[-4], sessions[-1] + timedelta(hours=1)
    lake = make_lake(bars)
    run_all(lake, NOW)
    before = lake.read_as_of(FEATURES_TECHNICAL, DEMO_START)
    bad = bars.filter(pl.col("symbol") == "AAA", pl.col("event_time") == restated_at)
    lake.merge(BARS, bad.with_columns(pl.col("close") * 1.05, pl.lit(hour_later).alias("known_time")))
    reports = run_all(lake, FixedClock(hour_later))
    assert reports[0].added == 4  # the restated session and the three after it, of one symbol
    assert_frame_equal(lake.read_as_of(FEATURES_TECHNICAL, DEMO_START), before)
    after = lake.read_as_of(FEATURES_TECHNICAL, hour_later)
    changed = after.join(before, on=["symbol", "event_time"], suffix="_old").filter(
        pl.col("return_1d").ne_missing(pl.col("return_1d_old"))
    )
    assert changed.select("symbol", "event_time").rows() == [("AAA", sessions[-4]), ("AAA", sessions[-3])]
    windows = lake.read(MODEL_WINDOWS).filter(pl.col("symbol") == "AAA").sort("known_time")
    assert windows["known_time"].to_list() == [DEMO_START, hour_later]
    assert windows["feature_hash"].n_unique() == 2


def test_windows_are_of_the_current_session_and_say_what_they_are(featured_lake: Lake) -> None:
    rows = featured_lake.read(MODEL_WINDOWS)
    assert rows.height == 25
    assert set(rows["event_time"]) == {DEMO_START}
    assert set(rows["signature"]) == {FORECAST_V2.name}
    bars = featured_lake.read_as_of(BARS, DEMO_START, where=pl.col("event_time") == DEMO_START)
    price = dict(bars.select("symbol", "close_traded").rows())
    told = {row["symbol"]: (row["reference_price"], row["price_basis"]) for row in rows.iter_rows(named=True)}
    assert told["NVDA"] == (pytest.approx(12.26, abs=0.005), "as_traded")  # 0.3065 in shares of 2025
    assert told["AAPL"] == (532.1729, "as_traded")
    assert told["XOM"] == (None, "adjusted_close_only")
    assert rows["currency"].unique().to_list() == ["USD"]
    versions = featured_lake.versions([BARS, FEATURES_TECHNICAL])
    for row in rows.iter_rows(named=True):
        values = np.float32(row["window"]).reshape(FORECAST_V2.shape)
        assert row["feature_hash"] == window_hash(values)
        assert row["reference_price"] == price[row["symbol"]]
        assert json.loads(row["table_versions"]) == versions


def test_windows_of_before_stay_as_they_were_and_the_current_ones_gain_their_price(
    make_lake: Callable, small_market: Callable, tmp_path: Path
) -> None:
    """A home that was made when windows had a price on an undisclosed basis: the newest session is told anew."""
    lake = make_lake(small_market(320))
    sessions = lake.read(BARS)["event_time"].unique().sort()
    run_all(lake, FixedClock(sessions[-2]))
    run_all(lake, NOW)
    whole = lake.read(MODEL_WINDOWS)
    before = replace(MODEL_WINDOWS, columns=MODEL_WINDOWS.columns[:-2])
    lake = Lake(tmp_path / "older")
    lake.merge(BARS, small_market(320))
    lake.merge(before, whole.select(before.names).with_columns(pl.lit(0.3).alias("reference_price")))
    run_all(lake, NOW)
    found = {(at, price, basis) for at, price, basis in lake.read(MODEL_WINDOWS)[PRICED].iter_rows()}
    current = whole.filter(pl.col("event_time") == sessions[-1])
    assert found == {(sessions[-2], 0.3, None), *current[PRICED].iter_rows()}
    assert current["price_basis"].unique().to_list() == ["as_traded"]
    assert lake.read(MODEL_WINDOWS, version=1)["reference_price"].to_list() == [0.3] * whole.height


def test_a_symbol_that_did_not_trade_gets_no_window(make_lake: Callable, small_market: Callable) -> None:
    bars = small_market(320)
    last = bars["event_time"].max()
    lake = make_lake(bars.filter(~((pl.col("symbol") == "AAA") & (pl.col("event_time") == last))))
    run_all(lake, NOW)
    assert lake.read(MODEL_WINDOWS)["symbol"].to_list() == ["BBB"]


def test_a_new_table_version_alone_restates_no_window(make_lake: Callable, small_market: Callable) -> None:
    bars = small_market(320)
    lake = make_lake(bars)
    run_all(lake, NOW)
    old = bars["event_time"].min() - timedelta(days=400)
    stranger = bars.filter(pl.col("symbol") == "BBB").head(1)
    lake.merge(BARS, stranger.with_columns(pl.lit("CCC").alias("symbol"), pl.lit(old).alias("event_time")))
    *_, windows = run_all(lake, NOW)
    assert windows.added == 0
    assert lake.read(MODEL_WINDOWS).height == 2


def test_the_market_has_regimes_and_no_features(featured_lake: Lake) -> None:
    assert set(featured_lake.read(REGIMES)["market"]) == {MARKET}
    assert MARKET not in featured_lake.read(FEATURES_TECHNICAL)["symbol"]


def test_bars_with_years_missing_are_refused(lake: Lake) -> None:
    clock = FixedClock(DEMO_START)
    ingest_bars(lake, PackagedMarket(), clock, years=[2000, 2001])
    refine_to_lake(lake, clock, years=[2001])
    with pytest.raises(NotReadyError, match="bars of 2000 were received but not refined"):
        update_technical(lake, clock)
    with pytest.raises(NotReadyError, match="bars of 2000"):
        update_labels(lake, clock)
    refine_to_lake(lake, clock, years=[2000])
    assert update_technical(lake, clock).added > 0
