"""A challenger on its own, with real engines: judged without a weight in the blend, replayed equal, found by nobody."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import polars as pl
import pytest

from lake.calendars import session_closes
from lake.clock import DEMO_START, FixedClock
from lake.tables import BLEND_WEIGHTS, FORECASTS, LABELS
from serving.deployment import Champions, DeploymentContext, put_on_trial, read_deployment, roll_back_canary
from serving.deployment.record import write_deployment
from serving.forecast_log import in_lake, newest_in_lake
from serving.outcomes import mature
from serving.replay import counts, receipt_of, replay
from serving.replay.cases import cases
from serving.replay.engine_cache import EngineCache
from serving.replay.verify import replay_cases
from serving.stages import update_forecasts
from serving.web.app import build_app
from support.blend import weights_row
from support.clients import client_of
from support.receipts import Home

SESSIONS = 40
CLOSES = session_closes(DEMO_START - timedelta(days=100), DEMO_START)[-SESSIONS - 1 :]
WORSE, EQUAL = ("lstm", "9"), ("ridge", "9")
PUBLIC = "/api/v1/public"


class Tried(NamedTuple):
    """A home after two trials of many sessions, and what the rule said of them."""

    home: Home
    details: list[dict[str, Any]]
    verdicts: dict[str, dict[str, Any]]
    rolled_back: list[str]


@pytest.fixture(scope="module")
def tried(copy_home: Callable[..., Home], exports, variant, put, tmp_path_factory) -> Tried:
    """Two versions on trial, none of whose models has a weight: one much worse, the other the champion's own file."""
    mine = copy_home(tmp_path_factory.mktemp("tried") / "home")
    alone = {horizon: {"naive": 1.0} for horizon in (1, 5)}
    mine.lake.merge(BLEND_WEIGHTS, weights_row(CLOSES[0], alone))
    put(mine.settings, variant("lstm", 1_000), "9", is_champion=False)
    put(mine.settings, exports["ridge"], "9", is_champion=False)
    context = DeploymentContext(lake=mine.lake, configured=mine.settings, clock=mine.clock, who="test")
    put_on_trial(context, *WORSE, "canary", 0.05)
    put_on_trial(context, *EQUAL, "shadow", 0.05)
    details = []
    for close in (CLOSES[0], CLOSES[-1]):
        models = Champions(mine.settings).current()
        report = update_forecasts(mine.lake, mine.settings, FixedClock(close), print, models=models, sessions=2)
        details.append(report.details)
        mature(mine.lake, FixedClock(close))
    report = roll_back_canary(mine.lake, mine.settings, FixedClock(CLOSES[-1]))
    verdicts = {figures["model"]: figures for figures in report.details["verdicts"]}
    return Tried(mine, details, verdicts, report.details["rolled_back"])


def of_trials(home: Home) -> pl.DataFrame:
    return home.lake.read(FORECASTS, where=pl.col("kind") == "trial")


def test_an_update_forecasts_by_versions_on_trial_from_the_newest_session_on(tried: Tried) -> None:
    first, later = (details["trials"] for details in tried.details)
    symbols = of_trials(tried.home)["symbol"].n_unique()
    assert symbols > 20
    assert first == {"lstm 9": symbols * 2, "ridge 9": symbols * 2}, "all symbols, although the share is a twentieth"
    assert later == {name: count * SESSIONS for name, count in first.items()}
    assert of_trials(tried.home)["event_time"].unique().sort().to_list() == CLOSES


def test_a_worse_challenger_of_a_model_without_a_weight_is_rolled_back(tried: Tried) -> None:
    verdict = tried.verdicts["lstm"]
    assert verdict["sessions"] == SESSIONS
    assert verdict["excess"] > 0.2
    assert verdict["is_worse"]
    assert tried.rolled_back == ["lstm"]
    assert [one.model for one in read_deployment(tried.home.settings).challengers] == ["ridge"]


def test_a_challenger_that_is_equal_is_not_rolled_back(tried: Tried) -> None:
    settings = tried.home.settings
    assert tried.verdicts["ridge"]["sessions"] == SESSIONS
    assert tried.verdicts["ridge"]["excess"] == 0
    deployment = read_deployment(settings)
    canary = deployment.challengers[0].model_copy(update={"mode": "canary"})
    write_deployment(settings, deployment.on_trial(canary))
    report = roll_back_canary(tried.home.lake, settings, FixedClock(CLOSES[-1]))
    assert (report.rows, report.details["rolled_back"]) == (1, [])


def test_pairs_are_of_sessions_whose_label_is_known(tried: Tried) -> None:
    """The outcome of the last session is not known at its own close."""
    labels = tried.home.lake.read(LABELS, where=pl.col("horizon_sessions") == 1)
    known = labels.filter(pl.col("event_time").is_in(CLOSES), pl.col("known_time") <= CLOSES[-1])
    assert known["event_time"].n_unique() == SESSIONS == len(CLOSES) - 1


def test_what_a_version_forecast_on_trial_replays_equal_after_its_trial(tried: Tried) -> None:
    rows = of_trials(tried.home).filter(pl.col("event_time").is_in([CLOSES[0], CLOSES[-1]]))
    found = replay(tried.home.lake, tried.home.settings, rows["forecast_id"].to_list())
    assert counts(found) == {"equal": rows.height, "close": 0, "differs": 0, "unknown": 0}
    assert {one.kind for one in found} == {"trial"}
    assert {"model input", "reference price", "regime", "identity", "quantiles"} <= set(found[0].compared)
    asked = receipt_of(tried.home.lake, tried.home.settings, rows["forecast_id"][0])
    assert (asked.kind, asked.online, asked.strategy.decision, asked.calibration) == ("trial", None, None, None)
    assert [(model.name, model.version) for model in asked.models] in ([WORSE], [EQUAL])
    assert asked.seal.is_intact
    assert asked.knowledge is not None
    assert asked.knowledge.said == "Time of knowledge of 30 bars: 100 % assumed (the close), none recorded."
    assert asked.knowledge.bars == {"assumed": 30}


def test_a_trial_that_is_passed_off_as_a_replay_is_named(tried: Tried) -> None:
    """A replay counts in weights, strategies and corrections: the kind is part of the identity."""
    hidden = of_trials(tried.home)["forecast_id"][0]
    (case,) = cases(tried.home.lake, tried.home.settings, [hidden])
    case.row["kind"] = "replay"
    (found,) = replay_cases(tried.home.lake, EngineCache(tried.home.settings), [case])
    assert found.verdict == "differs"
    assert "its id is not that of its kind" in str(found.faults)


def test_nobody_finds_what_a_version_forecast_on_trial(tried: Tried, predicting: Callable[..., Any]) -> None:
    row = of_trials(tried.home).filter(event_time=CLOSES[-1], horizon_sessions=1).row(0, named=True)
    hidden = row["forecast_id"]
    assert in_lake(tried.home.lake, hidden) is None
    assert newest_in_lake(tried.home.lake, row["symbol"], 1) is None
    with predicting(tried.home.settings) as predictor:
        client = client_of(build_app(predictor))
        for path in (f"predictions/{hidden}", f"predictions/{hidden}/receipt"):
            assert client.get(f"{PUBLIC}/{path}").status_code == 404, path
        assert hidden not in json.dumps(client.get(f"{PUBLIC}/predictions/latest/{row['symbol']}").json())
        other = tried.home.lake.read(FORECASTS, where=pl.col("kind") == "replay")["forecast_id"][0]
        assert client.get(f"{PUBLIC}/predictions/{other}").status_code == 200, "the same route finds a replay"
