"""The service as a user starts it: a BentoML process on a port, over real HTTP."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import pytest

from lake.disk import write_durably
from lake.settings import Settings
from lake.tables import FORECASTS
from lake.universe import SYMBOLS
from serving.deployment import SERVING_FILE
from serving.deployment.releases import champion_versions
from serving.forecast_log import LogReader, drain
from serving.processes.imports import KEPT_OUT
from serving.supervision import serve_command, serve_environment
from support.clients import headers_of
from support.services import running_service
from support.waiting import until

PREDICT = "/api/v1/public/predict"


@pytest.fixture(scope="module")
def mine(copy_home, tmp_path_factory):
    """A home of its own."""
    return copy_home(tmp_path_factory.mktemp("service") / "home")


def ask(client, symbol="AAPL", horizon=1):
    return client.post(PREDICT, json={"symbol": symbol, "horizon_sessions": horizon})


def client_at(address, settings, **options):
    """A client that shows the local key of the service's home."""
    return httpx.Client(base_url=address, headers=headers_of(settings), timeout=120, **options)


@pytest.fixture(scope="module")
def running(mine):
    with running_service(mine.settings) as service, client_at(service.address, mine.settings) as client:
        yield client


def count(mine):
    return LogReader(mine.settings).count()


def test_a_forecast_over_http_is_logged_before_it_is_sent(running, mine):
    before = count(mine)
    answer = ask(running)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert count(mine) == before + 1
    said = answer.json()
    assert running.get(f"/api/v1/public/predictions/{said['prediction_id']}").content == answer.content


def test_it_listens_on_loopback_only(running, mine):
    listening = {
        c.laddr.ip for c in psutil.net_connections("tcp") if c.status == "LISTEN" and c.laddr.port == mine.settings.port
    }
    assert listening == {"127.0.0.1"}


@pytest.mark.parametrize("path", ["/livez", "/schema.json", "/docs.json", "/static_content/swagger-ui.css"])
def test_nothing_of_the_framework_beside_the_routes_is_reachable(running, path):
    answer = running.get(path)
    assert answer.status_code == 404
    assert answer.json()["hint"]


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/api/v1/public/symbols"]
)
def test_every_page_answers(running, path):
    assert running.get(path).status_code == 200


def test_metrics_of_the_workers_are_counted_together(running):
    def asked():
        name, lines = "quantlake_request_seconds_count{", running.get("/metrics").text.splitlines()
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith(name) and PREDICT in x)

    before = asked()
    ask(running)
    ask(running, "NOPE")
    assert asked() == before + 2


def test_thirty_two_clients_at_once_get_one_logged_answer_each(running, mine):
    before = count(mine)
    limits = httpx.Limits(max_connections=32)
    with ThreadPoolExecutor(32) as pool, client_at(running.base_url, mine.settings, limits=limits) as client:
        bodies = [{"symbol": SYMBOLS[i % len(SYMBOLS)], "horizon_sessions": 1} for i in range(320)]
        answers = list(pool.map(lambda body: client.post(PREDICT, json=body), bodies))
    assert {answer.status_code for answer in answers} == {200}
    ids = {answer.json()["prediction_id"] for answer in answers}
    assert len(ids) == 320
    assert count(mine) == before + 320
    log = LogReader(mine.settings)
    assert all(log.get(answer.json()["prediction_id"]).answer == answer.text for answer in answers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 50_000,
        b'{"symbol":NaN,"horizon_sessions":1}',
        b"\xff" * 10,
        b'{"symbol":"AAPL"}',
        b"x" * 300_000,
    ],
    ids=range(7),
)
def test_an_odd_body_over_http_is_a_4xx(running, body):
    answer = running.post(PREDICT, content=body, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert answer.json()["detail"]


def problem_of(client, versions):
    """What the status says is wrong; whatever that is, these versions are in service."""
    status = client.get("/api/v1/public/models/status").json()
    assert {model["name"]: model["version"] for model in status["models"]} == versions
    return status["problem"]


def test_a_promotion_is_taken_up_without_a_failed_request(running, mine):
    """Another set is put in service and taken out again while clients ask; every answer names the set that made it."""
    serving = mine.settings.models / SERVING_FILE
    all_models = champion_versions(mine.settings)
    stop, answers = threading.Event(), []

    def keep_asking():
        with client_at(running.base_url, mine.settings) as client:
            while not stop.is_set():
                answers.append(client.post(PREDICT, json={"symbol": "GE", "horizon_sessions": 1}))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    try:
        # A file that says the same, and one whose model does not exist: the first is taken up, the second never.
        for versions in (all_models, all_models | {"ridge": "99"}, all_models):
            seen = len(answers)
            write_durably(serving, json.dumps(versions))
            until(lambda seen=seen: len(answers) >= seen + 20)
            until(lambda is_good=versions == all_models: (problem_of(running, all_models) is None) == is_good)
    finally:
        stop.set()
        asking.join()
        write_durably(serving, json.dumps(all_models))
    assert Counter(answer.status_code for answer in answers) == {200: len(answers)}
    assert {answer.json()["model"]["version"] for answer in answers} == {"lstm-1+naive-1+ridge-1"}


@pytest.mark.slow
def test_every_answer_reaches_the_lake_once_even_when_the_service_is_killed(copy_home, tmp_path):
    """kill -9 under load, then start again: each 200 answer that a client holds has one row in log and table."""
    own = copy_home(tmp_path / "home")
    held: list[str] = []
    with running_service(own.settings) as service:
        stop = threading.Event()

        def keep_asking():
            with client_at(service.address, own.settings) as client:
                while not stop.is_set():
                    try:
                        answer = client.post(PREDICT, json={"symbol": "KO", "horizon_sessions": 5})
                    except httpx.HTTPError:
                        return
                    if answer.status_code == 200:
                        held.append(answer.json()["prediction_id"])

        asking = [threading.Thread(target=keep_asking) for _ in range(8)]
        for thread in asking:
            thread.start()
        until(lambda: len(held) >= 100)
        service.kill()
        stop.set()
        for thread in asking:
            thread.join()
    drain(own.lake, own.settings)
    drain(own.lake, own.settings)
    stored = own.lake.read(FORECASTS)["forecast_id"]
    assert set(held) <= set(stored)
    assert stored.is_unique().all()
    assert len(stored) == count(own)


LOOK = """
import json, sys
from serving.service import ForecastService
service = ForecastService.inner()
answers = service.predictor.predict(["AAPL"], 1).texts
service.predictor.close()
print(json.dumps([name for name in {names!r} if sys.modules.get(name) is not None]))
print(answers[0])
"""


def test_the_service_process_loads_no_training_library(mine):
    done = subprocess.run(
        [sys.executable, "-c", LOOK.format(names=KEPT_OUT)],
        env=serve_environment(mine.settings),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded, answer = done.stdout.strip().splitlines()[-2:]
    assert json.loads(loaded) == []
    assert json.loads(answer)["symbol"] == "AAPL"


def test_importing_the_service_keeps_nothing_out_of_this_process(mine):
    code = f"import serving.service, sys; print([n for n in {KEPT_OUT!r} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=serve_environment(mine.settings), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_its_environment_carries_the_settings_and_no_telemetry(tmp_path):
    settings = Settings(home=tmp_path, port=4567, engine_threads=2, redis_url="redis://127.0.0.1:1/0")
    environment = serve_environment(settings)
    assert environment["QUANTLAKE_HOME"] == str(tmp_path)
    assert environment["REDIS_URL"] == "redis://127.0.0.1:1/0"
    assert environment["BENTOML_DO_NOT_TRACK"] == "true"
    assert (
        environment.items()
        >= {k: v for k, v in os.environ.items() if not k.startswith(("QUANTLAKE", "BENTOML", "OMP"))}.items()
    )
    assert str(tmp_path) not in " ".join(serve_command(settings)), "settings belong into the environment"
