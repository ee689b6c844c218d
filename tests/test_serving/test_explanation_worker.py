"""The explanation process beside a real endpoint: its answers, its ends, and who may ask it."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.errors import EngineError, ExplainerUnavailableError, UnknownNameError
from serving.access import local_key
from serving.api import PredictAnswer
from serving.api.explanations import ExplainRequest, ExplanationAnswer
from serving.client import Client
from serving.deployment import Champions
from serving.explain import Explainer, ExplanationKey, explanation_answer
from serving.explain.worker import EXPLAIN as EXPLAIN_QUESTION
from serving.explain.worker import AboutForecast, RemoteExplanations, socket_path, wire
from serving.explain.worker.server import bound
from support.clients import headers_of
from support.receipts import Home
from support.services import Service, running_service
from support.trainings import place_weights
from support.waiting import until

EXPLAIN, PREDICT = "/api/v1/public/explain/prediction", "/api/v1/public/predict"
NOBODY = 65_534
CONNECT = """
import os, socket, sys
user = int(sys.argv[2])
os.setgroups([]); os.setgid(user); os.setuid(user)
socket.socket(socket.AF_UNIX).connect(sys.argv[1])
"""


@pytest.fixture(scope="module")
def mine(copy_home: Any, exports: dict, networks: dict, tmp_path_factory: pytest.TempPathFactory) -> Home:
    made: Home = copy_home(tmp_path_factory.mktemp("explaining") / "home", workers=1)
    place_weights(made.settings, exports["lstm"], networks["lstm"])
    return made


@pytest.fixture(scope="module")
def service(mine: Home) -> Iterator[Service]:
    with running_service(mine.settings) as made:
        until(lambda: explaining(made) and socket_path(made.settings).exists())
        yield made


@pytest.fixture(scope="module")
def http(service: Service) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.address, headers=headers_of(service.settings), timeout=120) as made:
        yield made


def explaining(service: Service) -> list[psutil.Process]:
    """The processes that compute explanations."""
    return [each for each in service.children() if "serving.explain.worker" in command_of(each)]


def explained(http: httpx.Client, asked: dict[str, Any]) -> ExplanationAnswer:
    """Ask until there is an answer: on a machine that others keep busy the process is long in coming to its turn."""
    answers: list[httpx.Response] = []

    def is_answered() -> bool:
        answers.append(http.post(EXPLAIN, json=asked))
        return answers[-1].status_code == httpx.codes.OK

    until(is_answered)
    return ExplanationAnswer.model_validate(answers[-1].json())


def scraped(http: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of the endpoint's metrics, by name and labels."""
    families = text_string_to_metric_families(http.get("/metrics").raise_for_status().text)
    return {(each.name, frozenset(each.labels.items())): each.value for one in families for each in one.samples}


def has_torch(process: psutil.Process) -> bool:
    return any("libtorch" in each.path for each in process.memory_maps())


def command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended
        return []


def forecast(http: httpx.Client) -> PredictAnswer:
    answer = http.post(PREDICT, json={"symbol": "AAPL", "horizon_sessions": 1})
    return PredictAnswer.model_validate(answer.raise_for_status().json())


def test_it_answers_what_an_explainer_of_any_process_computes(http: httpx.Client, mine: Home) -> None:
    asked = {"prediction_id": forecast(http).prediction_id, "quantile": "width"}
    first, again = explained(http, asked), explained(http, asked)
    assert (first.is_cached, again.is_cached) == (False, True)
    here = Explainer(mine.lake, Champions(mine.settings)).explain(ExplanationKey(asked["prediction_id"]))
    computed = explanation_answer(here, "width", mine.settings.declared_market, is_cached=False)
    assert first == computed.model_copy(update={"seconds": first.seconds, "explanation_id": first.explanation_id})


def test_its_metrics_are_on_the_endpoint(http: httpx.Client) -> None:
    before = scraped(http)
    explained(http, {"prediction_id": forecast(http).prediction_id})
    after = scraped(http)
    labels = {"method": "shapley", "depth": "fast", "is_cached": "false"}
    for name, series in (("explanation_seconds", labels), ("explanation_additivity_error", {})):
        counted = (f"quantlake_{name}_count", frozenset(series.items()))
        assert after.get(counted, 0) == before.get(counted, 0) + 1, counted


def test_gradients_are_computed_there_and_torch_is_loaded_for_them_alone(service: Service, http: httpx.Client) -> None:
    (process,), (worker,) = explaining(service), service.workers()
    made = forecast(http)
    asked = {"prediction_id": made.prediction_id}
    explained(http, asked)
    assert not has_torch(process)
    told = explained(http, asked | {"method": "integrated_gradients"}).explanation
    assert told.value == made.prediction.p50
    summed = told.base_value + sum(told.local_explanation.shap_values.values())
    assert summed == pytest.approx(told.value, abs=1e-3 * abs(told.value - told.base_value) + 1e-7)
    assert told.unexplained_share == pytest.approx(0.5)  # naive and ridge
    assert "not split by feature" in told.reasoning_chain[-1]
    assert has_torch(process)
    assert not has_torch(worker)
    assert explained(http, asked | {"method": "integrated_gradients", "explanation_type": "detailed"}).is_cached


def test_errors_come_through_it_as_they_were_raised(http: httpx.Client) -> None:
    answer = http.post(EXPLAIN, json={"prediction_id": "0" * 32})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown-prediction")
    asked = {"prediction_id": forecast(http).prediction_id, "changes": {"rsi_41": {"to": 50.0}}}
    answer = http.post(EXPLAIN.replace("prediction", "counterfactual"), json=asked)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/unknown-feature")
    assert answer.json()["nearest"][0] == "rsi_14"


def test_it_gives_way_to_forecasts(service: Service, http: httpx.Client) -> None:
    (process,) = explaining(service)
    threads = [each.id for each in process.threads()] if sys.platform == "linux" else [process.pid]
    assert {os.getpriority(os.PRIO_PROCESS, each) for each in threads} == {19}
    (worker,) = service.workers()
    assert worker.nice() == psutil.Process().nice()


def test_when_it_is_killed_forecasts_go_on_and_another_one_answers(service: Service, http: httpx.Client) -> None:
    asked = {"prediction_id": forecast(http).prediction_id}
    (before,) = explaining(service)
    before.kill()
    until(lambda: before not in explaining(service))
    answer = http.post(EXPLAIN, json=asked)
    assert answer.status_code in {200, 503}
    if answer.status_code == 503:
        assert answer.json()["type"] == "/problems/explainer-not-available"
        assert int(answer.headers["retry-after"]) > 0
    explained = http.post(PREDICT, json={"symbol": "AAPL", "horizon_sessions": 1, "include_explanation": True})
    beside = PredictAnswer.model_validate(explained.raise_for_status().json())
    assert beside.explanation is not None or "started again" in str(beside.no_explanation_because)
    until(lambda: http.post(EXPLAIN, json=asked).status_code == 200)
    (after,) = explaining(service)
    assert after.pid != before.pid
    with Client(service.address, local_key(service.settings)) as client:
        assert client.explain(asked["prediction_id"]).prediction_id == asked["prediction_id"]


def test_it_ends_with_the_process_that_started_it(copy_home: Any, tmp_path: Path) -> None:
    made: Home = copy_home(tmp_path / "home", workers=1)
    with running_service(made.settings, is_awaited=False) as service:
        path = socket_path(made.settings)
        until(path.exists)
        (process,) = explaining(service)
        service.process.kill()
        until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, seconds=60)
        left = socket.socket(socket.AF_UNIX)
        with left, pytest.raises((ConnectionRefusedError, FileNotFoundError)):
            left.connect(str(path))


def test_it_ends_in_order_and_takes_its_socket_along(copy_home: Any, tmp_path: Path) -> None:
    made: Home = copy_home(tmp_path / "home", workers=1)
    with running_service(made.settings, is_awaited=False) as service:
        path = socket_path(made.settings)
        until(path.exists)
        service.stop()
    assert not path.exists()
    assert service.left() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_another_user_cannot_connect_even_where_the_folder_is_open() -> None:
    with tempfile.TemporaryDirectory(prefix="quantlake-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "s")
        with bound(path) as listener:
            listener.listen()
            assert path.stat().st_mode & 0o777 == 0o600
            ours, theirs = (
                subprocess.run(
                    [sys.executable, "-I", "-c", CONNECT, path, str(user)], check=False, capture_output=True, text=True
                )
                for user in (os.geteuid(), NOBODY)
            )
    assert ours.returncode == 0
    assert "PermissionError" in theirs.stderr


@pytest.mark.parametrize("sent", [b"", wire.HEAD.pack(wire.ANSWER, 5) + b'{"a"', wire.HEAD.pack(b"a", 1 << 31)])
def test_an_answer_that_breaks_off_is_no_answer(sent: bytes, tmp_path: Path) -> None:
    asked = ExplainRequest(prediction_id="0" * 32)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await wire.receive(reader)
        writer.write(sent)
        await writer.drain()
        writer.close()

    async def ask() -> bytes:
        with tempfile.TemporaryDirectory(prefix="quantlake-") as folder:  # a short path
            path = Path(folder, "s")
            async with await asyncio.start_unix_server(answer, sock=bound(path)):
                return await RemoteExplanations(path).ask(EXPLAIN_QUESTION, asked)

    with pytest.raises(ExplainerUnavailableError, match="ask again in some seconds"):
        asyncio.run(ask())


def test_where_nobody_listens_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExplainerUnavailableError, match="No such file"):
        RemoteExplanations(tmp_path / "s").ask_from_thread(EXPLAIN_QUESTION, ExplainRequest(prediction_id="0" * 32))


def test_an_error_keeps_its_kind_its_message_and_what_it_holds() -> None:
    unknown = UnknownNameError("feature", "rsi_41", ["rsi_14"])
    for error in (EngineError("no forecast"), unknown):
        told = wire.ToldError.model_validate_json(wire.ToldError.of(error).model_dump_json()).as_error()
        assert (type(told), str(told)) == (type(error), str(error))
        assert vars(told) == {name: list(v) if isinstance(v, tuple) else v for name, v in vars(error).items()}
    unforeseen = wire.ToldError.of(ZeroDivisionError("secret")).as_error()
    assert isinstance(unforeseen, RuntimeError)
    assert "ZeroDivisionError" in str(unforeseen)
    assert "secret" not in str(unforeseen)


def test_what_is_asked_is_sent_as_it_was_asked() -> None:
    told = wire.AskedQuestion.of(EXPLAIN_QUESTION, ExplainRequest(prediction_id="a" * 32, grain="group"), 2.0, "id")
    again = EXPLAIN_QUESTION.asked.model_validate(told.asked)
    assert again == ExplainRequest(prediction_id="a" * 32, grain="group")
    assert AboutForecast(prediction_id="a").prediction_id == "a"
