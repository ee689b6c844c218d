"""A damaged row of the forecast log, end to end: outcomes, returns and checks go on, and a command decides about it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from dagster_project.cli import app
from dagster_project.commands import forecasts as commands
from feature_repo.materialize.expectations import check_features
from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.store import Lake
from lake.tables import FORECASTS, OUTCOMES
from serving.backfill import replay_forecasts
from serving.forecast_log import ForecastLog, drain, draining, log_path, verify_logged
from serving.outcomes import mature, update_performance, update_strategy_returns
from serving.outcomes.live_quality import model_errors
from support.log import flip_bit, sealed_entry

CLOCK = FixedClock(DEMO_START)
NAMES = ("good", "damaged", "other")


@pytest.fixture
def home(market: Lake, engines: Any, closes: Any) -> tuple[Lake, Settings]:
    """A market with replayed forecasts, and three served ones in the log, a bit of one flipped on the disk."""
    configured = Settings(home=market.root.parent)
    replay_forecasts(market, engines, CLOCK, sessions=20)
    log = ForecastLog.open(configured)
    close = closes[-8]
    log.write([sealed_entry(name, symbol="AAA", event_time=close, known_time=close) for name in NAMES])
    log.close()
    flip_bit(log_path(configured), "damaged", "p50")
    return market, configured


def day(lake: Lake, configured: Settings) -> None:
    """What the daily job does about forecasts, checks included; it fails where a blocking check would stop it."""
    drain(lake, configured)
    for spec, then in (
        (FORECASTS, lambda: mature(lake, CLOCK)),
        (OUTCOMES, lambda: update_strategy_returns(lake, CLOCK)),
    ):
        if spec is OUTCOMES or lake.exists(spec):
            assert check_features(lake, spec, DEMO_START).success, f"the check on {spec.name} stops the day"
        then()
    update_performance(lake, CLOCK)


def judged(lake: Lake) -> set[str]:
    return set(lake.read(OUTCOMES, where=pl.col("forecast_id").is_in(NAMES))["forecast_id"])


@pytest.fixture
def say(home: tuple[Lake, Settings], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(commands, "_home", lambda: home)
    return lambda *words: CliRunner().invoke(app, ["forecasts", *words], catch_exceptions=False).stdout


def test_a_damaged_row_stops_nothing_and_is_closed_by_a_command(
    home: tuple[Lake, Settings], say: Callable[..., str]
) -> None:
    mature(home[0], CLOCK)
    day(*home)
    assert judged(home[0]) == {"good", "other"}
    (listed,) = json.loads(say("quarantine", "list", "--json"))
    assert (listed["forecast_id"], "p50" in listed["reason"]) == ("damaged", True)
    say("quarantine", "withdraw", str(listed["id"]), "--reason", "a bit was flipped")
    day(*home)
    assert json.loads(say("quarantine", "list", "--json")) == []


def test_a_row_that_reached_the_lake_is_withdrawn_and_the_day_goes_on(
    home: tuple[Lake, Settings], say: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: without verification the row gets in and the check stops every day, until it is withdrawn."""
    lake, configured = home
    mature(lake, CLOCK)

    def careless(logged: draining.Logged) -> draining.RowVerdict:
        row = draining.rows_from_json([str(logged.row)]).row(0, named=True)
        return verify_logged(logged)._replace(row=row, fault="")

    with monkeypatch.context() as patch:
        patch.setattr(draining, "verify_logged", careless)
        for _ in range(2):
            with pytest.raises(AssertionError, match="the check on forecasts stops the day"):
                day(lake, configured)
    say("withdraw", "damaged", "--reason", "a bit was flipped")
    day(lake, configured)
    assert judged(lake) == {"good", "other"}
    assert lake.scan_all(FORECASTS).filter(pl.col("forecast_id") == "damaged").collect().height == 1
    (decided,) = json.loads(say("decisions", "--json"))
    assert (decided["forecast_id"], decided["decision"]) == ("damaged", "withdrawn")


def test_a_withdrawn_forecast_is_out_of_every_figure_also_after_its_outcome(
    home: tuple[Lake, Settings], say: Callable[..., str], tmp_path: Path
) -> None:
    lake, configured = home
    mature(lake, CLOCK)
    day(lake, configured)
    assert judged(lake) == {"good", "other"}
    before = model_errors(lake, CLOCK, kinds=("served",))["forecasts"].sum()
    say("withdraw", "other", "--reason", "of the wrong market")
    day(lake, configured)
    assert judged(lake) == {"good"}
    assert before == 2
    assert model_errors(lake, CLOCK, kinds=("served",))["forecasts"].sum() == 1
