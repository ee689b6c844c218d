"""A price file to a served forecast over the longest horizon of its market: bars of minutes, and twenty sessions."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from dagster_project.resources import GivenPlatform
from dagster_project.runs import scratch_settings
from dagster_project.runs.timed import run_timed
from dagster_project.selections import DAILY_UPDATE, HISTORY
from feature_repo.online.redis_server import running_redis
from feature_repo.targets import compute_labels
from lake.calendars import next_closes
from lake.clock import FixedClock, ReplayClock
from lake.horizon_ends import bars_spanned
from lake.market import CLOCK_FILE, Market
from lake.sources import source_of
from lake.store import Lake
from lake.tables import BARS, FORECASTS, LABELS, OUTCOMES
from serving.deployment import Champions
from serving.deployment.sample_models import put_sample_models_in_service
from serving.predict import Predictor
from support.minute_files import bar_closes, write_bars

SYMBOLS = [f"S{number:02}" for number in range(12)]
MAPPING = {
    "layout": "long",
    "time": "Time",
    "time_format": "%Y-%m-%d",
    "symbol": "symbol",
    "open": "open",
    "high": "high",
    "low": "low",
    "close": "close",
    "volume": "volume",
    "price_basis": "split_adjusted",
    "delimiter": ",",
}
MINUTES = Market(
    "minutes",
    source="file",
    index="^EQUAL_WEIGHT",
    calendar="24/7",
    first_year=2012,
    options=MAPPING | {"stamp": "close"},
    interval="15m",
    horizons=("15 minutes", "60 minutes"),
)
SESSIONS = replace(
    MINUTES,
    name="sessions",
    calendar="XNYS",
    first_year=2010,
    options=MAPPING,
    interval="1d",
    horizons=("1 session", "20 sessions"),
)
HOURS = replace(MINUTES, name="hours", interval="60m", horizons=("60 minutes", "1 session"))
BARS_BEFORE, RECOMPUTED = 600, 1e-9


@pytest.mark.slow
@pytest.mark.parametrize(
    ("market", "until", "said"),
    [
        (MINUTES, datetime(2012, 12, 7, 12, tzinfo=UTC), {"horizon_minutes": 60}),
        (SESSIONS, datetime(2012, 12, 7, 21, tzinfo=UTC), {"horizon_sessions": 20}),
        (HOURS, datetime(2012, 12, 7, 12, tzinfo=UTC), {"horizon_sessions": 1}),
    ],
    ids=["60 minutes", "20 sessions", "1 session of bars of an hour"],
)
def test_a_file_is_served_over_the_longest_horizon_and_judged(
    market: Market, until: datetime, said: dict[str, int], tmp_path: Path
) -> None:
    ahead = market.horizon_bars[-1]
    spanned = bars_spanned(ahead, market.grid).most
    updates = next_closes(until, 2 * spanned, market.grid)[spanned - 1 :: spanned]
    path = write_bars(tmp_path / "prices.csv", SYMBOLS, BARS_BEFORE + 2 * spanned, updates[-1], market.grid)
    market = replace(market, options={**market.options, "path": str(path)})
    settings = scratch_settings(tmp_path / "home")
    market.write(settings.home)
    lake = Lake.open(settings)
    platform = GivenPlatform(settings, lake, FixedClock(until), source_of(settings), Champions(settings))
    with running_redis(settings):
        run_timed(HISTORY, platform)
        assert (
            lake.read(BARS)["event_time"].unique().sort().to_list()[1:]
            == bar_closes(BARS_BEFORE, until, market.grid)[1:]
        )
        labels = lake.read(LABELS)
        assert set(labels["horizon_sessions"]) == set(market.horizon_bars)
        put_sample_models_in_service(lake, settings, platform.clock, lambda _: None, ("naive", "ridge"))
        for at in updates:
            ReplayClock(settings.home / CLOCK_FILE, until).move_to(at)
            run_timed(
                DAILY_UPDATE,
                replace(platform, clock=FixedClock(at)),
                configuration={"forecasts": {"config": {"sessions": spanned}}},
            )
        known = {"on": LABELS.key, "how": "inner"}
        whole = compute_labels(lake.read_as_of(BARS, updates[-1]), market=market)
        stored = lake.read_as_of(LABELS, updates[-1])
        both = stored.join(whole, **known)
        assert stored.height == whole.height == both.height, "day by day there are the labels of one computation"
        assert (both["forward_return"] - both["forward_return_right"]).abs().max() < RECOMPUTED
        forecasts = lake.read(FORECASTS)
        assert set(forecasts["horizon_sessions"]) == set(market.horizon_bars)
        judged = lake.read(OUTCOMES).join(forecasts, on="forecast_id").filter(pl.col("horizon_sessions") == ahead)
        assert judged.height > 0, "no forecast over the longest horizon was judged"
        predictor = Predictor.open(settings)
        try:
            (answer,) = predictor.predict(["S03"], ahead).texts
        finally:
            predictor.close()
    content = json.loads(answer)
    assert {name: content["prediction"][name] for name in said} == said
    assert datetime.fromisoformat(content["as_of"]) == updates[-1]
