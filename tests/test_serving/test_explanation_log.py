"""Explanations on disk: the number answered is the number stored, once, also where the process is killed after it."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.errors import LogError
from lake.store import Lake
from lake.tables import EXPLANATIONS
from serving.access import local_key
from serving.client import Client
from serving.deployment import Champions
from serving.explain import Explainer, ExplanationKey
from serving.explanation_log import drain_explanations, explanation_log_path, explanations_of, log_explanation
from serving.forecast_log import drain
from serving.predict import Predictor
from serving.web.app import build_app
from support.clients import client_of
from support.waiting import until

PUBLIC = "/api/v1/public"
KILLED = Path(__file__).parents[1] / "support" / "explaining_once.py"
NEVER = {"method": "narrative", "depth": "fast", "values": "[]", "seconds": 0.0}
NULLS = dict.fromkeys(column.name for column in EXPLANATIONS.columns if column.nullable)


def row(number: int, made_at: datetime) -> dict:
    times = {"event_time": made_at, "known_time": made_at, "made_at": made_at}
    return {"explanation_id": f"{number:032x}", "forecast_id": "f" * 32, **times, **NEVER, **NULLS}


@pytest.fixture(scope="module")
def mine(copy_home, tmp_path_factory):
    return copy_home(tmp_path_factory.mktemp("logged") / "home")


@pytest.fixture(scope="module")
def app(mine):
    predictor = Predictor.open(mine.settings)
    made = build_app(predictor)
    yield made
    made.state.explanation_jobs.close()
    made.state.explanations.close()
    predictor.close()


@pytest.fixture(scope="module")
def http(app, mine):
    return client_of(app, mine.settings)


@pytest.fixture
def forecast(http):
    answer = http.post(f"{PUBLIC}/predict", json={"symbol": "AAPL", "horizon_sessions": 1})
    return answer.json()["prediction_id"]


def logged(settings):
    with closing(sqlite3.connect(explanation_log_path(settings))) as connection:
        return [json.loads(text) for (text,) in connection.execute("SELECT row FROM explanations ORDER BY sequence")]


def test_the_number_answered_is_the_row_in_the_lake(http, mine, forecast):
    asked = {"prediction_id": forecast, "quantile": "p90"}
    answer = http.post(f"{PUBLIC}/explain/prediction", json=asked).json()
    assert drain_explanations(mine.lake, mine.settings).added >= 1
    stored = [each for each in mine.lake.read(EXPLANATIONS).to_dicts() if each["forecast_id"] == forecast]
    assert [each["explanation_id"] for each in stored] == [answer["explanation_id"]]
    told, values = answer["explanation"], json.loads(stored[0]["values"])
    assert values["p90"]["base_value"] == told["base_value"]
    assert values["p90"]["value"] == told["value"]
    assert values["p90"]["contributions"] == told["local_explanation"]["shap_values"]
    assert stored[0]["base_value"] == values["p50"]["base_value"]
    assert stored[0]["additivity_error"] == told["additivity_error"]
    assert stored[0]["background_hash"] == told["backgrounds"][0]["hash"]
    assert stored[0]["engine_digest"].split(",") == sorted(set(answer["engine"]["digests"].values()))


def test_an_answer_from_memory_is_no_row(http, mine, forecast):
    asked = {"prediction_id": forecast}
    first, second = (http.post(f"{PUBLIC}/explain/prediction", json=asked).json() for _ in range(2))
    assert (first["is_cached"], second["is_cached"]) == (False, True)
    assert first["explanation_id"] == second["explanation_id"]
    assert len(explanations_of(mine.lake, mine.settings, forecast)) == 1


def test_a_text_is_stored_as_it_was_answered_and_the_receipt_lists_everything(app, http, served, mine, forecast):
    http.post(f"{PUBLIC}/explain/prediction", json={"prediction_id": forecast})
    asked = {"depth": "medium", "prediction_id": forecast}
    job = http.post(f"{PUBLIC}/explanations/AAPL", json=asked).json()["job_id"]
    done = until(lambda: (found := http.get(f"{PUBLIC}/explanations/jobs/{job}")).status_code == 200 and found.json())
    drain(mine.lake, mine.settings)
    drain_explanations(mine.lake, mine.settings)
    numbers, words = explanations_of(mine.lake, mine.settings, forecast)
    assert (numbers["method"], words["method"]) == ("shapley", "narrative")
    assert (words["explanation_id"], words["text"]) == (job, done["explanation"]["text"])
    assert json.loads(words["sentences"]) == done["explanation"]["sentences"]
    assert json.loads(words["values"]) == done["explanation"]["facts"]
    assert words["dropped"] == len(done["explanation"]["dropped"])
    with served(app) as address, Client(address, local_key(mine.settings), attempts=1) as client:
        receipt = client.receipt(forecast)
    assert [each.explanation_id for each in receipt.explanations] == [numbers["explanation_id"], job]
    assert receipt.explanations[0].values == json.loads(numbers["values"])
    assert receipt.explanations[1].text == words["text"]


def test_who_asked_is_in_no_file_of_the_explanations(http, mine, forecast):
    http.post(f"{PUBLIC}/explain/prediction", json={"prediction_id": forecast})
    path = explanation_log_path(mine.settings)
    held = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert forecast.encode() in held
    key = local_key(mine.settings)
    assert key.encode() not in held
    assert key.split("_")[1].encode() not in held
    assert path.stat().st_mode & 0o077 == 0


def test_what_cannot_be_logged_is_not_answered_and_is_computed_again(mine, forecast):
    explainer, path = Explainer(mine.lake, Champions(mine.settings)), explanation_log_path(mine.settings)
    aside = path.with_name("aside.sqlite")
    path.rename(aside)
    path.mkdir()
    try:
        with pytest.raises(LogError, match="cannot be used"):
            explainer.explain(ExplanationKey(forecast))
        assert explainer.recall(ExplanationKey(forecast)) is None
    finally:
        path.rmdir()
        aside.rename(path)
    said = explainer.explain(ExplanationKey(forecast))
    assert said.explanation_id in {each["explanation_id"] for each in logged(mine.settings)}


def test_an_explanation_is_not_lost_when_the_process_is_killed_right_after_it(mine, forecast):
    """The process kills itself with SIGKILL in the very next statement after the answer."""
    environment = {**os.environ, "QUANTLAKE_HOME": str(mine.settings.home)}
    done = subprocess.run(
        [sys.executable, str(KILLED), forecast], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    drain_explanations(mine.lake, mine.settings)
    stored = {each["explanation_id"]: each for each in explanations_of(mine.lake, mine.settings, forecast)}
    explanation_id, _, value = done.stdout.partition(" ")
    assert json.loads(stored[explanation_id]["values"])["p50"]["value"] == float(value)


def test_every_row_is_drained_once_and_leaves_the_log_when_the_lake_holds_it(settings, lake):
    now = datetime.now(UTC)
    log_explanation(settings, row(1, now - timedelta(hours=settings.log_retention_hours + 1)))
    log_explanation(settings, row(2, now))
    assert drain_explanations(lake, settings, now).added == 2
    assert [each["explanation_id"] for each in logged(settings)] == [f"{n:032x}" for n in (1, 2)]
    again = drain_explanations(lake, settings, now)
    assert (again.added, again.skipped) == (0, True)
    assert [each["explanation_id"] for each in logged(settings)] == [f"{2:032x}"]
    with closing(sqlite3.connect(explanation_log_path(settings))) as connection, connection:
        connection.execute("UPDATE explanations SET state = 0")  # as a kill between merge and mark leaves them
    assert drain_explanations(lake, settings, now).added == 0
    assert lake.read(EXPLANATIONS).height == 2


def test_a_row_that_the_lake_lost_is_brought_in_again(settings, lake, tmp_path):
    now = datetime.now(UTC)
    log_explanation(settings, row(1, now - timedelta(hours=settings.log_retention_hours + 1)))
    drain_explanations(lake, settings, now)
    restored = Lake(tmp_path / "restored")
    assert drain_explanations(restored, settings, now).added == 1
    assert len(logged(settings)) == 1


def test_a_row_that_does_not_fit_stops_no_other_and_is_named(settings, lake):
    now = datetime.now(UTC)
    log_explanation(settings, row(1, now) | {"method": 7})
    log_explanation(settings, row(2, now))
    report = drain_explanations(lake, settings, now)
    assert report.added == 1
    assert [warning.startswith("1 logged explanations do not fit") for warning in report.warnings] == [True]
    assert len(logged(settings)) == 2
