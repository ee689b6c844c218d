"""Bitcoin by the quarter of an hour, from an installed file to served forecasts an hour ahead and what came of them."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.market import BTC, market_of
from lake.store import Lake
from lake.tables import BARS, BLEND_WEIGHTS, FORECASTS, LABELS, OUTCOMES, VERDICTS

pytestmark = pytest.mark.slow
HOUR = timedelta(hours=1)


def test_bitcoin_is_forecast_an_hour_ahead_and_judged(tmp_path: Path) -> None:
    environment = os.environ | {
        "QUANTLAKE_HOME": str(tmp_path / "home"),
        "QUANTLAKE_EXPERIMENT": "test",
        "QUANTLAKE_MARKET": BTC.name,
        "COLUMNS": "100",
    }

    def quantlake(*arguments: str) -> str:
        command = [sys.executable, "-m", "dagster_project.cli", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
        failed = [line for line in done.stdout.splitlines() if "✗" in line]
        assert done.returncode == 0, "\n".join([*failed, done.stdout[-2_000:], done.stderr[-3_000:]])
        return done.stdout

    home = tmp_path / "home" / "markets" / BTC.name
    said = quantlake("run")
    assert market_of(home) == BTC
    lake, stands = Lake(home / "tables"), BTC.starts_at
    assert lake.report(BARS).last == lake.report(FORECASTS).last == stands
    assert {"15 min", "60 min"} <= {part for part in ("15 min", "60 min") if part in said}, "both horizons are shown"
    for spec in (FORECASTS, VERDICTS, LABELS):
        assert set(lake.read(spec)["horizon_sessions"]) == {1, 4}, "bars of a quarter of an hour"
    assert set(lake.read(BLEND_WEIGHTS)["model_horizons"].explode()) == {1, 4}
    hours = lake.read(LABELS).filter(pl.col("horizon_sessions") == 4)
    assert (hours["known_time"] - hours["event_time"]).unique().to_list() == [HOUR]

    said = quantlake("advance", "--sessions", "4")
    assert "60 minutes ahead" in said
    assert lake.report(FORECASTS).last == datetime(2021, 12, 28, 1, tzinfo=UTC)
    judged = lake.read(OUTCOMES).join(lake.read(FORECASTS), on="forecast_id").filter(pl.col("horizon_sessions") == 4)
    assert (judged["event_time"] - judged["event_time_right"]).unique().to_list() == [HOUR]
    assert judged["event_time"].max() == datetime(2021, 12, 28, 1, tzinfo=UTC)
