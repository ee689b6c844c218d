"""The packaged markets beside the default: the whole graph to served forecasts, and a session more."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import close_of, session_closes
from lake.market import PACKAGED, market_of
from lake.store import Lake
from lake.tables import BARS, EVALUATIONS, FORECASTS, MACRO, MODEL_WINDOWS, OUTCOMES, RAW_BARS, REGIMES, SELECTIONS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("name", "symbols", "served"), [("long", 27, 25), ("wide", 524, 450)])
def test_a_packaged_market_is_forecast_and_advanced(tmp_path: Path, name: str, symbols: int, served: int) -> None:
    environment = os.environ | {
        "QUANTLAKE_HOME": str(tmp_path / "home"),
        "QUANTLAKE_MARKET": name,
        "QUANTLAKE_EXPERIMENT": "test",
        "COLUMNS": "100",
    }

    def quantlake(*arguments: str) -> str:
        command = [sys.executable, "-m", "dagster_project.cli", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=tmp_path, check=False)
        failed = [line for line in done.stdout.splitlines() if "✗" in line]
        assert done.returncode == 0, "\n".join([*failed, done.stdout[-2_000:], done.stderr[-3_000:]])
        return done.stdout

    market, home = PACKAGED[name], tmp_path / "home" / "markets" / name
    assert market.starts_at is not None
    assert market.last_day is not None
    lake = Lake(home / "tables")
    said = quantlake("demo")
    assert f"Market '{name}'" in said
    assert "minutes on two cores" in said
    assert market_of(home) == market
    assert (home / "market.yaml").is_file(), "a home that is moved must say whose it is"
    for spec in (RAW_BARS, BARS, REGIMES, FORECASTS, OUTCOMES, MACRO):
        assert lake.read(spec)["known_time"].max() <= market.starts_at, spec.name
    assert lake.read(BARS)["symbol"].n_unique() == symbols
    assert served <= lake.read(MODEL_WINDOWS)["symbol"].n_unique() < symbols, "IBM, and whoever left the index"
    for spec in (EVALUATIONS, OUTCOMES, SELECTIONS):
        assert lake.report(spec).rows > 0, spec.name
    foreign = "2013" if name == "wide" else "2012-12-31"
    assert foreign not in said, "nothing says when another market stands"

    quantlake("advance")
    following = session_closes(market.starts_at, market.starts_at + timedelta(days=4))[0]
    assert lake.report(BARS).last == lake.report(FORECASTS).last == following
    assert lake.read(FORECASTS).filter(pl.col("kind") == "served").height >= 3
    assert following < close_of(market.last_day)
    quantlake("doctor")
