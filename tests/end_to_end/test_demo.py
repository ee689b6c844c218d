"""The promise of the README: two commands, from market data to a served forecast and a re-selected strategy."""

import json
import subprocess
import sys
from contextlib import closing

import polars as pl
import pytest
from rich.console import Console

from dagster_project.commands import advance, demo, summaries
from lake.clock import DEMO_START, ReplayClock
from lake.store import Lake
from lake.tables import BARS, FORECASTS, LABELS, OUTCOMES, RAW_BARS, SELECTIONS
from lake.universe import SYMBOLS

pytestmark = pytest.mark.filterwarnings("default")  # third-party libraries meet each other here; ours are tested apart


def test_demo_ends_with_everything_a_newcomer_looks_for(demo_output):
    _, said = demo_output
    for expected in (
        "Tables",
        "features_technical",
        "Refused rows",
        "Models, walk-forward",
        "What answers",
        "naive",
        "tft",
        "lstm",
        "Strategy in force per regime",
        "Drift of features",
        "Served forecasts",
        "AAPL",
        "quantlake serve",
    ):
        assert expected in said


def test_nothing_after_the_markets_now_was_read(demo_home):
    with demo_home as configured:
        lake = Lake.open(configured)
        for spec in (RAW_BARS, BARS, LABELS, FORECASTS, OUTCOMES, SELECTIONS):
            assert lake.read(spec)["known_time"].max() <= DEMO_START


def test_each_matured_forecast_has_exactly_one_outcome(demo_home):
    with demo_home as configured:
        lake = Lake.open(configured)
        forecasts, outcomes, labels = (lake.read(spec) for spec in (FORECASTS, OUTCOMES, LABELS))
    matured = forecasts.join(labels, on=["symbol", "event_time", "horizon_sessions"], how="semi")
    assert outcomes["forecast_id"].is_unique().all()
    assert set(outcomes["forecast_id"]) == set(matured["forecast_id"])
    assert forecasts.filter(pl.col("kind") == "replay")["event_time"].n_unique() >= 250


def test_served_forecasts_reached_the_log(demo_home):
    from serving.forecast_log import log_path, open_log

    with demo_home as configured, closing(open_log(log_path(configured))) as log:
        kinds = dict(log.execute("SELECT kind, count(*) FROM forecasts GROUP BY kind").fetchall())
    assert kinds == {"served": 3, "scheduled": 2 * len(SYMBOLS)}


@pytest.mark.slow
def test_second_run_is_incremental_and_says_so(demo_home, tmp_path, capsys):
    home = demo_home.copy(tmp_path / "data")
    with home as configured:
        lake = Lake.open(configured)
        before = lake.versions([RAW_BARS, BARS, LABELS, OUTCOMES, SELECTIONS])
        told = Console(width=200, record=True)
        demo.show(demo.demo(configured, told), configured, told)
        assert lake.versions([RAW_BARS, BARS, LABELS, OUTCOMES, SELECTIONS]) == before
    said = capsys.readouterr().out
    assert "Nothing to do: all that follows from the bars up to the close of 2012-12-31 is there." in told.export_text()
    assert "service starting" not in said
    assert said.count("nothing to do") >= 12
    assert "trained_models: nothing to do" in said


def test_an_update_is_told_to_a_program_as_one_document(demo_home, tmp_path):
    home = demo_home.copy(tmp_path / "data")
    command = [sys.executable, "-m", "dagster_project.cli", "update", "--json"]
    first, again = (
        json.loads(subprocess.run(command, env=home.environment, stdout=subprocess.PIPE, check=True).stdout)
        for _ in range(2)
    )
    assert [stage["stage"] for stage in first["stages"]] == [stage["stage"] for stage in again["stages"]]
    assert first["outcome"] == "done", "the forecasts that were served come in"
    assert {stage["stage"]: stage["rows_added"] for stage in first["stages"]}["forecasts"] > 0
    assert (again["outcome"], again["now"]) == ("nothing_to_do", "2012-12-31T21:00:00+00:00")
    assert all(stage["is_skipped"] and stage["reason"] for stage in again["stages"])
    versions = {table["table"]: table["version"] for table in again["tables"]}
    assert {"bars", "forecasts", "model_windows"} <= versions.keys()


@pytest.mark.slow
def test_a_session_is_told_to_a_program_as_one_document(demo_home, tmp_path):
    home = demo_home.copy(tmp_path / "data")
    command = [sys.executable, "-m", "dagster_project.cli", "advance", "--json"]
    told = subprocess.run(command, env=home.environment, capture_output=True, check=True, text=True)
    document = json.loads(told.stdout)
    assert (document["command"], document["outcome"]) == ("advance", "done")
    assert (document["before"], document["now"]) == ("2012-12-31T21:00:00+00:00", "2013-01-02T21:00:00+00:00")
    assert [answer["as_of"] for answer in document["forecasts"]] == ["2013-01-02T21:00:00Z"] * 3
    assert {each["asset"]: each["rows_added"] for each in document["made"]}["features_technical"] == len(SYMBOLS)
    assert document["matured"]
    assert document["selections"]
    assert "features_technical" in told.stderr, "the progress of the run"


def test_runs_are_in_the_dagster_ui(demo_home):
    import dagster as dg

    with demo_home, dg.DagsterInstance.get() as instance:
        (run, *_) = instance.get_runs()
        checks = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
        bars = instance.get_latest_materialization_event(dg.AssetKey("bars"))
    assert run.is_success
    assert len(checks) >= 9
    assert bars.asset_materialization.metadata["rows_in_table"].value > 79_000


@pytest.fixture(scope="module")
def next_day(demo_output, tmp_path_factory):
    """The home one session later, and what was said on the way."""
    home = demo_output[0].copy(tmp_path_factory.mktemp("next") / "data")
    console = Console(record=True, width=200)
    with home as configured:
        advance.show(advance.advance(configured, console, sessions=1), configured, console)
    return home, console.export_text()


@pytest.mark.slow
def test_day_by_day_equals_one_jump(demo_home, next_day, tmp_path):
    """The stages together; each of them has its own test of it that is quick."""
    from feature_repo.catalog import FEATURES_TECHNICAL

    found = {}
    for name, start, sessions in (("days", next_day[0], 1), ("jump", demo_home, 2)):
        home = start.copy(tmp_path / name)
        with home as configured:
            advance.advance(configured, Console(width=200, quiet=True), sessions=sessions)
            lake = Lake.open(configured)
            found[name] = {spec.name: lake.read(spec) for spec in (FEATURES_TECHNICAL, FORECASTS, OUTCOMES, SELECTIONS)}
            assert ReplayClock(configured.home / "clock.json").now().date().isoformat() == "2013-01-03"
    days, jump = found["days"], found["jump"]
    key = ["symbol", "event_time"]
    features = days["features_technical"].join(jump["features_technical"], on=key, how="full", suffix="_jump")
    for name in FEATURES_TECHNICAL.names:
        if name not in {*key, "known_time"}:
            left, right = features[name], features[f"{name}_jump"]
            assert left.is_null().equals(right.is_null())
            assert ((left - right).abs() <= 1e-9 * right.abs().clip(1e-3)).all()
    replayed = [frames["forecasts"].filter(pl.col("kind") == "replay") for frames in (days, jump)]
    both = replayed[0].join(replayed[1], on="forecast_id", how="full", suffix="_jump")
    assert both["forecast_id_jump"].null_count() == both["forecast_id"].null_count() == 0
    for name in ("p10", "p50", "p90"):
        assert (both[name] - both[f"{name}_jump"]).abs().max() <= 1e-6
    ours, theirs = (
        frames["outcomes"].join(replayed[0], on="forecast_id", how="semi").sort("forecast_id")
        for frames in (days, jump)
    )
    assert ours["forecast_id"].equals(theirs["forecast_id"])
    assert (ours["realised_return"] - theirs["realised_return"]).abs().max() <= 1e-9
    weights = [frames["selections"].sort("event_time", "regime")["weights"].explode() for frames in (days, jump)]
    assert (weights[0] - weights[1]).abs().max() <= 1e-6


@pytest.mark.slow
def test_advance_shows_what_came_of_yesterdays_forecasts(next_day):
    home, said = next_day
    with home as configured:
        matured = summaries.rows(
            configured, "select count(*) from outcomes where event_time = timestamptz '2013-01-02 21:00:00+00'"
        )
    assert "from the close of 2012-12-31 to the close of 2013-01-02" in said
    assert "Forecasts and what came" in said
    assert "Strategy weights now" in said
    assert matured[0][0] > 100
