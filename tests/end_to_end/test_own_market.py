"""A price file of one's own to served forecasts, and the same file with more and corrected rows the next day."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import closes
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, FORECASTS, MODEL_WINDOWS, OUTCOMES, RAW_BARS, SELECTIONS

pytestmark = pytest.mark.slow

SYMBOLS = ("AAA", "BRK.B", "CCC", "DDD", "EEE", "NA")
ADDED = "TRUE"
UNTIL = datetime(2025, 6, 30, 23, tzinfo=UTC)
SESSIONS = 380
"""A year and a half."""


def price_file(path: Path, calendar: str, sessions: int, symbols: tuple[str, ...], corrected: str = "") -> None:
    """Write the first sessions of a market that never was, one close of it corrected by a tenth of a percent."""
    days = closes(calendar).filter(pl.col("event_time") <= UNTIL).tail(SESSIONS + 5)
    bars = tiny_market([*SYMBOLS, ADDED], SESSIONS + 5, seed=11)
    number = pl.int_range(pl.len()).over("symbol")
    bars = bars.with_columns(number.alias("n")).filter(pl.col("symbol").is_in(symbols), pl.col("n") < sessions)
    bars = bars.with_columns(days["session"].gather(bars["n"]).alias("Date"))
    is_corrected = (pl.col("symbol") == corrected) & (pl.col("n") == SESSIONS - 10)
    bars = bars.with_columns(pl.when(is_corrected).then(pl.col("close") * 1.001).otherwise("close").alias("close"))
    high, low = pl.max_horizontal("high", "close"), pl.min_horizontal("low", "close")
    names = ["Date", "symbol", "open", high.alias("high"), low.alias("low"), "close", "volume"]
    bars.select(names).write_csv(path, include_bom=True, line_terminator="\r\n")


@pytest.mark.parametrize("calendar", ["XNYS", "24/7"])
def test_a_file_is_forecast_and_followed(tmp_path: Path, calendar: str) -> None:
    environment = os.environ | {
        "QUANTLAKE_HOME": str(tmp_path / "home"),
        "QUANTLAKE_EXPERIMENT": "test",
        "COLUMNS": "80",
    }

    def quantlake(*arguments: str, market: str = "desk") -> str:
        named = environment | ({"QUANTLAKE_MARKET": market} if arguments[0] != "market" else {})
        command = [sys.executable, "-m", "dagster_project.cli", *arguments]
        done = subprocess.run(command, env=named, capture_output=True, text=True, cwd=tmp_path, check=False)
        failed = [line for line in done.stdout.splitlines() if "✗" in line]
        assert done.returncode == 0, "\n".join([*failed, done.stdout[-2_000:], done.stderr[-3_000:]])
        return done.stdout

    file, lake = tmp_path / "prices.csv", Lake(tmp_path / "home" / "markets" / "desk" / "tables")
    price_file(file, calendar, SESSIONS, SYMBOLS)
    assert calendar in quantlake("market", "new", "desk", "--from", str(file))
    said = quantlake("run")
    last = closes(calendar).filter(pl.col("event_time") <= UNTIL)["event_time"][-6]
    assert "the market stands there" in said
    assert lake.report(BARS).last == lake.report(FORECASTS).last == last
    for spec in (OUTCOMES, SELECTIONS):
        assert lake.report(spec).rows > 0
    assert set(lake.read(MODEL_WINDOWS)["symbol"]) == set(SYMBOLS)

    version = lake.version(RAW_BARS)
    quantlake("run")
    assert lake.version(RAW_BARS) == version, "an unchanged file was stored again"
    served = lake.read(FORECASTS).filter(pl.col("kind") == "served")  # those of the first run, brought in by the second
    assert served["symbol"].n_unique() == 3, "three forecasts of the endpoint"

    price_file(file, calendar, SESSIONS, SYMBOLS, corrected="AAA")
    quantlake("run")
    own = lake.read(BARS).filter(pl.col("symbol") == "AAA")
    restated = own.filter(pl.len().over("event_time") > 1).sort("known_time")
    assert restated["known_time"][-1] > last, "a correction is known from before what was derived at the last close"

    price_file(file, calendar, SESSIONS + 2, (*SYMBOLS, ADDED), corrected="CCC")
    quantlake("run")
    then = closes(calendar).filter(pl.col("event_time") <= UNTIL)["event_time"][-4]
    assert lake.report(BARS).last == lake.report(FORECASTS).last == then
    own = lake.read(BARS).filter(pl.col("symbol") == "CCC")
    restated = own.filter(pl.len().over("event_time") > 1).sort("known_time")
    assert restated["known_time"].to_list() == [restated["event_time"][0], then], "a correction is known from now on"
    added = lake.read(BARS).filter(pl.col("symbol") == ADDED)
    assert added.height == SESSIONS + 2
    assert added.filter(pl.col("event_time") <= last)["known_time"].unique().to_list() == [then]
