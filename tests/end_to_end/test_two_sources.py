"""A market of two sources to served forecasts: the second one stands in, and the first one replaces it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import yaml

from lake.market import FILE
from lake.store import Lake, newest_known
from lake.tables import AGREEMENT, BARS, FORECASTS, QUALITY_SCORES, RAW_BARS
from support.two_sources import (
    CORRECTED,
    DISPUTED,
    INDEX,
    LATE,
    SYMBOLS,
    bars_of_both,
    closes_of_both,
    playing,
    write_prices,
)

pytestmark = pytest.mark.slow

SESSIONS = 380


@pytest.fixture
def address() -> Iterator[str]:
    with playing(bars_of_both(SESSIONS)) as url:
        yield url


def test_the_second_source_stands_in_and_the_first_one_replaces_it(tmp_path: Path, address: str) -> None:
    environment = os.environ | {
        "QUANTLAKE_HOME": str(tmp_path / "home"),
        "QUANTLAKE_EXPERIMENT": "test",
        "QUANTLAKE_SOURCE_URL": address,
        "COLUMNS": "100",
    }

    def quantlake(*arguments: str) -> str:
        named = environment | ({"QUANTLAKE_MARKET": "desk"} if arguments[0] != "market" else {})
        command = [sys.executable, "-m", "dagster_project.cli", *arguments]
        done = subprocess.run(command, env=named, capture_output=True, text=True, cwd=tmp_path, check=False)
        failed = [line for line in done.stdout.splitlines() if "✗" in line]
        assert done.returncode == 0, "\n".join([*failed, done.stdout[-2_000:], done.stderr[-3_000:]])
        return done.stdout

    home, file, both = tmp_path / "home" / "markets" / "desk", tmp_path / "prices.csv", bars_of_both(SESSIONS)
    last = closes_of_both(SESSIONS)["event_time"][-1]
    write_prices(file, both, is_late=True)
    settled = [f"--set={each}" for each in (f"index={INDEX}", "price_basis=as_traded", "decision_delay=60")]
    quantlake("market", "new", "desk", "--from", str(file), *settled)
    declared = yaml.safe_load((home / FILE).read_text())
    further = {"other_sources": ["yahoo"], "other_options": {"yahoo": {"symbols": [*SYMBOLS]}}}
    (home / FILE).write_text(yaml.safe_dump(declared | further))

    said = quantlake("run")
    lake = Lake(home / "tables")
    bars = newest_known(lake.read(BARS))
    assert bars.height == both.height, "each bar of either source once"
    assert bars.filter(pl.col("source") == "yahoo").select("symbol", "event_time").rows() == [(LATE, last)]
    assert set(lake.read(RAW_BARS)["source"]) == set(lake.read(QUALITY_SCORES)["source"]) == {"file", "yahoo"}
    assert "sources_agree" in said, "an alarm of a disagreement"
    assert "disagree on 20 of 139 returns" in quantlake("quality")
    forecast = newest_known(lake.read(FORECASTS)).filter(pl.col("event_time") == last)
    assert set(forecast["symbol"]) == set(SYMBOLS), "the bar that stands in is forecast from"

    write_prices(file, both, corrected=SESSIONS - 3)
    quantlake("run")
    versions = lake.read(BARS).filter(symbol=LATE, event_time=last).sort("known_time")
    assert versions["source"].to_list() == ["yahoo", "file"]
    assert versions["known_time"][1] > versions["known_time"][0], "known from when the first source told it"
    changed = lake.read(BARS).filter(symbol=CORRECTED, event_time=closes_of_both(SESSIONS)["event_time"][SESSIONS - 3])
    assert changed["source"].to_list() == ["file", "file"]
    apart = lake.read(AGREEMENT).filter(pl.col("agreeing") < pl.col("sources"), pl.col("field") == "close")
    assert set(apart["symbol"]) == {DISPUTED, CORRECTED}
    again = newest_known(lake.read(FORECASTS)).filter(pl.col("event_time") == last)
    assert set(again["symbol"]) == set(SYMBOLS)
