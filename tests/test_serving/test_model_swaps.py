"""Models come and go under load: no request fails, and every answer is what the models it names compute."""

import json
import shutil
import signal
import subprocess
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count, cycle

import httpx
import pytest

from feature_repo.online import OnlineReader
from feature_repo.targets import to_model_input
from lake.universe import SYMBOLS
from serving.deployment import deployment_or_none, moving, read_deployment
from serving.deployment.placing import place
from serving.deployment.record import Release, write_deployment
from serving.deployment.registry import register_and_promote
from serving.engines import PARITY_FILE, OnnxEngine
from serving.forecasts import Member, blend, calibrate, name_blend
from serving.predict import split_ready
from serving.supervision import follow_registry_command, serve_environment
from support.clients import headers_of
from support.services import running_service
from support.waiting import until

PUBLIC, INTERNAL = "/api/v1/public", "/api/v1/internal/models"
RATE = 200
CLIENTS = 32


@dataclass
class Asked:
    """What clients were told."""

    answers: list = field(default_factory=list)
    failures: list = field(default_factory=list)


@contextmanager
def asking(client, settings, rate=RATE):
    """Ask for forecasts from several connections, at most so many a second, while the block lasts."""
    asked, stop, number = Asked(), threading.Event(), count()

    def keep_asking():
        with httpx.Client(base_url=client.base_url, headers=headers_of(settings), timeout=120) as mine:
            while not stop.wait(CLIENTS / rate):
                mark = next(number)
                body = {"symbol": SYMBOLS[mark % len(SYMBOLS)], "horizon_sessions": 1 if mark % 2 else 5}
                try:
                    answer = mine.post(f"{PUBLIC}/predict", json=body)
                except httpx.HTTPError as error:
                    asked.failures.append(repr(error))
                    continue
                if answer.status_code == 200:
                    asked.answers.append(answer.json())
                else:
                    asked.failures.append((answer.status_code, answer.text))

    threads = [threading.Thread(target=keep_asking) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture(scope="module")
def apart(copy_home, tmp_path_factory):
    """Settings of a home of its own."""
    return copy_home(tmp_path_factory.mktemp("swaps") / "home").settings


@pytest.fixture(scope="module")
def client(apart):
    """A client of the real service that may do everything."""
    with (
        running_service(apart) as service,
        httpx.Client(base_url=service.address, headers=headers_of(apart), timeout=120) as client,
    ):
        yield client


@pytest.fixture
def swappable(apart, client):
    """The home whose deployment is put back afterwards, and the service with it."""
    before = read_deployment(apart)
    yield apart
    write_deployment(apart, before)
    until(lambda: (served(client), served(client, "lstm")) == (before.versions["ridge"], before.versions["lstm"]))
    for folder in apart.models.glob("*/9*"):
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def engines(exports, variant):
    """Every model that may answer, by digest."""
    bundles = [*exports.values(), *(variant(name, number) for name in ("ridge", "lstm") for number in (1, 2, 3))]
    return {bundle.digest: OnnxEngine(bundle) for bundle in bundles}


def mistakes(settings, answers, engines):
    """Compute every answer again from its window by the engines it names; those that differ in any bit."""
    reader = OnlineReader(settings)
    rows, _ = split_ready(reader.read(SYMBOLS))
    reader.close()
    windows = {row.feature_hash: row for row in rows}
    computed = {}
    wrong = []
    for answer in answers:
        row, model = windows[answer["data"]["feature_hash"]], answer["model"]
        members = [Member(**part) for part in model["members"]]
        key = (row.feature_hash, model["digest"], answer["prediction"]["horizon_sessions"])
        if key not in computed:
            x = to_model_input(row.window[None])
            found = {m.name: engines[m.digest].predict(x) for m in members}
            numbers = blend(found, {m.name: m.weight for m in members})
            computed[key] = calibrate(numbers, (1, 5), [row.calibration])[0]
        said = answer["prediction"]
        expected = computed[key][(1, 5).index(said["horizon_sessions"])]
        is_named = name_blend(members)[:3] == (model["name"], model["version"], model["digest"])
        if not is_named or [said["p10"], said["p50"], said["p90"]] != expected.tolist():
            wrong.append(answer)
    return wrong


def served(client, model="ridge"):
    """Version of a model in service, and problem."""
    status = client.get(f"{PUBLIC}/models/status").json()
    return next(one["version"] for one in status["models"] if one["name"] == model)


def swap(settings, bundle, version):
    """Put a version in service by its files alone."""
    with moving(settings):
        place(bundle, settings.models / bundle.name / version)
        release = Release(version=version, digest=bundle.digest)
        write_deployment(settings, deployment_or_none(settings).promoted(bundle.name, release))


def versions_of(answers, model="ridge"):
    return Counter(part["version"] for a in answers for part in a["model"]["members"] if part["name"] == model)


def test_models_come_and_go_under_load(swappable, client, variant, engines):
    """The small one: six swaps, two roll-backs and a bad candidate under 100 requests a second."""
    with asking(client, swappable, rate=100) as asked:
        for number in (1, 2, 3, 1, 2, 3):
            swap(swappable, variant("ridge", number), f"9{number}")
            until(lambda wanted=f"9{number}": served(client) == wanted)
        for wanted in ("92", "91"):
            answer = client.post(f"{INTERNAL}/rollback", json={"model": "ridge"})
            assert answer.status_code == 200, answer.text
            assert answer.json()["version"] == wanted == served(client)
        swap(swappable, variant("lstm", 1), "94")
        until(lambda: served(client, "lstm") == "94")
        bad = swappable.models / "ridge" / "95"
        place(variant("ridge", 3), bad)
        (bad / PARITY_FILE).unlink()
        deployment = read_deployment(swappable)
        release = Release(version="95", digest=variant("ridge", 3).digest)
        write_deployment(swappable, deployment.promoted("ridge", release))
        until(lambda: client.get(f"{PUBLIC}/models/status").json()["refused"])
        seen = len(asked.answers)
        until(lambda: len(asked.answers) > seen + 50)
        (refused,) = client.get(f"{PUBLIC}/models/status").json()["refused"]
    assert (refused["model"], refused["version"], refused["refused_by"]) == ("ridge", "95", "service")
    assert "parity.json is missing" in refused["reason"]
    assert served_versions_are(asked, {"91", "92", "93", "1"})
    assert asked.failures == []
    assert mistakes(swappable, asked.answers, engines) == []


def served_versions_are(asked, allowed):
    return set(versions_of(asked.answers)) <= allowed and len(versions_of(asked.answers)) > 2


def test_the_check_would_find_an_answer_of_another_model(swappable, client, variant, engines):
    """The mutant: an answer that names one version and was computed by another."""
    answer = client.post(f"{PUBLIC}/predict", json={"symbol": "AAPL", "horizon_sessions": 1}).json()
    assert mistakes(swappable, [answer], engines) == []
    ridge = next(part for part in answer["model"]["members"] if part["name"] == "ridge")
    ridge["digest"] = variant("ridge", 1).digest
    assert mistakes(swappable, [answer], engines) == [answer]
    answer["model"]["digest"] = name_blend([Member(**part) for part in answer["model"]["members"]]).digest
    assert mistakes(swappable, [answer], engines) == [answer]


@pytest.mark.slow
def test_twenty_swaps_and_five_roll_backs_under_load(home, swappable, client, variant, engines):
    """The wide one: through the registry, with trials and bad candidates in between, and the registry's follower."""
    following = subprocess.Popen(
        follow_registry_command(),
        env=serve_environment(swappable),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    swaps, rolled_back, refused = 0, 0, 0
    wheel = cycle([("ridge", 1), ("lstm", 1), ("ridge", 2), ("lstm", 2), ("ridge", 3), ("lstm", 3)])
    try:
        with asking(client, swappable) as asked:
            while swaps < 20:
                name, number = next(wheel)
                report = register_and_promote(variant(name, number), home.lake, swappable, clock=home.clock)
                wanted = report.details["model_version"]
                until(lambda n=name, w=wanted: served(client, n) == w)
                swaps += 1
                if swaps % 4 == 0:
                    answer = client.post(f"{INTERNAL}/rollback", json={"model": name})
                    assert answer.status_code == 200, answer.text
                    assert served(client, name) == answer.json()["version"] != wanted
                    rolled_back += 1
                    try_one(client, name, wanted, asked)
                if swaps % 5 == 0:
                    refused += refuse_one(client, swappable, variant, f"9{swaps}")
            seen = len(asked.answers)
            until(lambda: len(asked.answers) > seen + RATE)
    finally:
        following.send_signal(signal.SIGTERM)
        following.wait(120)
    wrong = mistakes(swappable, asked.answers, engines)
    figures = {
        "requests": len(asked.answers) + len(asked.failures),
        "failed": len(asked.failures),
        "swaps": swaps,
        "rolled_back": rolled_back,
        "refused": refused,
        "wrong": len(wrong),
        "versions": len(versions_of(asked.answers)) + len(versions_of(asked.answers, "lstm")),
    }
    print(json.dumps(figures))  # noqa: T201 - the figures of the run
    assert (rolled_back, refused, asked.failures, wrong) == (5, 4, [], [])


def try_one(client, model, version, asked):
    """Let a version answer as a canary for a while, then take it back."""
    answer = client.post(f"{INTERNAL}/canary", json={"model": model, "version": version, "share": 0.5})
    assert answer.status_code == 200, answer.text
    (trial,) = client.get(f"{PUBLIC}/models/status").json()["challengers"]
    assert (trial["model"], trial["version"], trial["mode"]) == (model, version, "canary")
    seen = len(asked.answers)
    until(lambda: version in versions_of(asked.answers[seen:], model))
    answer = client.post(f"{INTERNAL}/rollback", json={"model": model})
    assert answer.json()["alias"] == "canary"


def refuse_one(client, settings, variant, version):
    """Offer a version whose proof is missing; it is refused, and the offer withdrawn."""
    folder = settings.models / "ridge" / version
    with moving(settings):
        before = read_deployment(settings)
        place(variant("ridge", 3), folder)
        (folder / PARITY_FILE).unlink()
        release = Release(version=version, digest=variant("ridge", 3).digest)
        write_deployment(settings, before.model_copy(update={"champions": before.champions | {"ridge": release}}))
        until(lambda: version in [one["version"] for one in client.get(f"{PUBLIC}/models/status").json()["refused"]])
        assert served(client) == before.versions["ridge"]
        write_deployment(settings, before)
    shutil.rmtree(folder)
    return 1
