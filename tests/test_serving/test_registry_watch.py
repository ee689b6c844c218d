"""The registry's alias and the service are kept in line, whichever moves, and nothing bad comes in that way."""

import json
import logging
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from mlflow import MlflowClient
from typer.testing import CliRunner

from dagster_project.commands import models
from lake.clock import FixedClock
from lake.errors import NotReadyError, UnknownNameError
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.store import Lake
from lake.tables import AUDIT, PROMOTIONS
from serving.deployment import (
    SERVING_FILE,
    Champions,
    DeploymentContext,
    champions,
    read_deployment,
    read_refusals,
    registry,
    registry_watch,
    roll_back,
)
from serving.deployment.following import RegistryFollower
from serving.deployment.moves import promote
from serving.deployment.registry import fetch, register, register_and_promote
from serving.deployment.registry_watch import follow, registry_stamps
from serving.engines import MODEL_FILE, PARITY_FILE, SIGNATURE_FILE
from serving.supervision import follow_registry_command, serve_environment
from support.waiting import PATIENCE_SECONDS, until

CLOCK = FixedClock(datetime(2012, 12, 31, 21, tzinfo=UTC))
WITHIN_SECONDS = 5.0


@pytest.fixture(scope="module")
def registered(tmp_path_factory, exports, variant):
    """A home with version 1 of `ridge` in service, and 2 and 3 registered only."""
    settings = Settings(home=tmp_path_factory.mktemp("registered"))
    register_and_promote(exports["ridge"], Lake.open(settings), settings, clock=CLOCK)
    for number in (1, 2):
        register(variant("ridge", number), settings)
    # As if they had been registered elsewhere: nothing of them lies here yet.
    for version in "23":
        shutil.rmtree(settings.models / "ridge" / version)
    said = json.loads((settings.models / SERVING_FILE).read_text())
    del said["registered"]["ridge"]["2"], said["registered"]["ridge"]["3"]
    (settings.models / SERVING_FILE).write_text(json.dumps(said))
    return settings


@pytest.fixture
def settings(tmp_path, registered):
    """A copy of it; artefacts stay where they were, so a test that harms them takes copies."""
    shutil.copytree(registered.home, tmp_path / "home")
    return Settings(
        home=tmp_path / "home", mlflow_tracking_uri=f"sqlite:///{tmp_path / 'home' / 'mlflow' / 'mlflow.db'}"
    )


@pytest.fixture
def client(settings):
    return MlflowClient(settings.tracking_uri, settings.tracking_uri)


@pytest.fixture
def context(settings):
    return DeploymentContext(lake=Lake.open(settings), configured=settings, clock=CLOCK, who="test")


@pytest.fixture
def follower(context):
    return RegistryFollower(context)


def in_service(settings):
    return Champions(settings).current().bundles["ridge"]


def alias(client):
    return str(client.get_registered_model("ridge").aliases["champion"])


def test_an_alias_moved_by_hand_puts_that_version_in_service(settings, client, follower, context, variant):
    assert follower.look() == []
    client.set_registered_model_alias("ridge", "champion", "2")
    assert follower.look() == ["version 2 of ridge is in service"]
    assert in_service(settings).digest == variant("ridge", 1).digest
    deployment = read_deployment(settings)
    assert deployment.former["ridge"] == ("1",)
    assert deployment.aliases["ridge"] == "2"
    move = context.lake.read(PROMOTIONS).sort("event_time").to_dicts()[-1]
    assert (move["alias"], move["model_version"], move["previous_version"]) == ("champion", "2", "1")
    assert json.loads(move["evidence"])["parity"]["digest"] == variant("ridge", 1).digest
    assert context.lake.read(AUDIT).sort("sequence")["result"].to_list()[-1] == "done"
    assert follower.look() == []


def test_a_roll_back_is_followed_by_the_alias_and_not_fought(settings, client, follower, context):
    client.set_registered_model_alias("ridge", "champion", "2")
    follower.look()
    assert roll_back(context, "ridge").version == "1"
    assert alias(client) == "2"
    assert follower.look() == ["the registry's alias of ridge follows to version 1"]
    assert alias(client) == "1"
    assert in_service(settings).version == "1"
    assert follower.look() == []
    with pytest.raises(NotReadyError, match="no champion came before version 1"):
        roll_back(context, "ridge")


def test_where_both_moved_the_alias_is_the_order(settings, client, follower, context):
    client.set_registered_model_alias("ridge", "champion", "2")
    follower.look()
    roll_back(context, "ridge")
    client.set_registered_model_alias("ridge", "champion", "3")
    assert follower.look() == ["version 3 of ridge is in service"]
    assert (in_service(settings).version, alias(client)) == ("3", "3")


def test_a_promotion_on_the_way_is_not_undone(settings, client, follower, context, variant):
    """Killed between the registry's alias and the service: the follower finishes it."""
    register_and_promote(variant("ridge", 1), context.lake, settings, clock=CLOCK)
    said = json.loads((settings.models / SERVING_FILE).read_text())
    said["champions"]["ridge"], said["aliases"]["ridge"] = {"version": "1", "digest": None}, "1"
    (settings.models / SERVING_FILE).write_text(json.dumps(said))
    assert follower.look() == ["version 2 of ridge is in service"]
    assert in_service(settings).version == alias(client) == "2"


def test_a_home_of_an_older_release_is_understood(settings, client, follower, context):
    (settings.models / SERVING_FILE).write_text('{"ridge": "1"}')
    assert in_service(settings).version == "1"
    assert follower.look() == []
    assert read_deployment(settings).aliases == {"ridge": "1"}
    assert read_deployment(settings).champions["ridge"].digest == in_service(settings).digest
    client.set_registered_model_alias("ridge", "champion", "2")
    follower.look()
    assert roll_back(context, "ridge").version == "1"


def test_the_table_of_promotions_leads_back_where_the_deployment_does_not(settings, context, variant):
    register_and_promote(variant("ridge", 1), context.lake, settings, clock=CLOCK)
    (settings.models / SERVING_FILE).write_text('{"ridge": "2"}')
    assert roll_back(context, "ridge").version == "1"
    assert in_service(settings).version == "1"


def own_artefacts(settings, client, version, tmp_path):
    """Point a version at a copy of its files, which the test may harm."""
    import sqlite3

    source = Path(urlsplit(client.get_model_version("ridge", version).source).path)
    copy = shutil.copytree(source, tmp_path / "artefacts" / version)
    with sqlite3.connect(settings.tracking_uri.removeprefix("sqlite:///")) as database:
        database.execute(
            "UPDATE model_versions SET source = ?, storage_location = ? WHERE name = 'ridge' AND version = ?",
            (copy.as_uri(), copy.as_uri(), version),
        )
    return copy


def link(folder):
    (folder / MODEL_FILE).rename(folder / "aside")
    (folder / MODEL_FILE).symlink_to(folder / "aside")


def resign(folder):
    said = json.loads((folder / SIGNATURE_FILE).read_text())
    (folder / SIGNATURE_FILE).write_text(json.dumps(said | {"table_versions": {"features_technical": 99}}))


HARM = {
    "no proof": (lambda f: (f / PARITY_FILE).unlink(), "parity.json is missing"),
    "other bytes": (lambda f: (f / MODEL_FILE).write_bytes(b"x"), "altered after export"),
    "a link": (link, "through a link"),
    "a re-signed file": (resign, "is tagged in the registry with"),
    "nothing": (shutil.rmtree, "is missing"),
}


@pytest.mark.parametrize("kind", HARM)
def test_what_fails_a_check_is_refused_once_and_the_alias_left(kind, settings, client, follower, context, tmp_path):
    harm, why = HARM[kind]
    folder = own_artefacts(settings, client, "2", tmp_path)
    harm(folder)
    client.set_registered_model_alias("ridge", "champion", "2")
    (sentence,) = follower.look()
    assert "version 2 of ridge is refused" in sentence
    assert why in sentence
    (refusal,) = read_refusals(settings)
    assert why in refusal.reason
    assert (in_service(settings).version, alias(client)) == ("1", "2")
    assert follower.look() == []
    RegistryFollower(context).look()
    refused = [row for row in context.lake.read(AUDIT).to_dicts() if row["result"] == "refused"]
    assert len(refused) == 1
    client.set_registered_model_alias("ridge", "champion", "3")
    assert follower.look() == ["version 3 of ridge is in service"]
    assert read_refusals(settings) == []


@pytest.mark.parametrize("tag", ["digest", "signature"])
def test_files_that_are_not_what_the_registry_says_are_refused(tag, settings, client, follower):
    client.set_model_version_tag("ridge", "2", tag, "0" * 64)
    client.set_registered_model_alias("ridge", "champion", "2")
    (sentence,) = follower.look()
    assert "is tagged in the registry with" in sentence
    assert in_service(settings).version == "1"


def test_a_model_that_others_registered_is_none_of_ours(settings, client, follower, tmp_path):
    client.create_registered_model("theirs")
    client.create_model_version("theirs", tmp_path.as_uri())
    client.set_registered_model_alias("theirs", "champion", "1")
    assert follower.look() == []
    assert read_refusals(settings) == []


def test_files_behind_another_kind_of_address_are_fetched(settings, client, tmp_path, variant):
    run_id = client.get_model_version("ridge", "2").run_id
    made = client.create_model_version(
        "ridge", f"runs:/{run_id}/bundle", run_id=run_id, tags=client.get_model_version("ridge", "2").tags
    )
    assert fetch(settings, "ridge", str(made.version)).digest == variant("ridge", 1).digest


def test_a_version_nobody_registered_is_named_with_those_there_are(settings, context):
    with pytest.raises(UnknownNameError, match="ridge 3"):
        fetch(settings, "ridge", "99")
    with pytest.raises(UnknownNameError, match="no model version 'ridge 99'"):
        promote(context, "ridge", "99")


def test_the_watch_goes_on_when_something_cannot_be_read_and_says_so_once(settings, client, caplog):
    good = (settings.models / SERVING_FILE).read_text()
    client.set_registered_model_alias("ridge", "champion", "2")
    looks = 0

    def is_over(_):
        nonlocal looks
        looks += 1
        (settings.models / SERVING_FILE).write_text("{" * looks if looks < 3 else good)
        return looks > 3

    with caplog.at_level(logging.INFO, logger="quantlake.registry"):
        follow(settings, is_over)
    said = [record.getMessage() for record in caplog.records if record.name == "quantlake.registry"]
    assert [sentence.startswith("the registry cannot be followed") for sentence in said] == [True, False]
    assert said[-1] == "version 2 of ridge is in service"


def test_a_change_of_registry_or_deployment_is_noticed_by_their_files(settings, client):
    before = registry_stamps(settings)
    assert registry_stamps(settings) == before
    client.set_registered_model_alias("ridge", "champion", "2")
    assert registry_stamps(settings) != before
    assert registry_stamps(settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:9"})) is None


def test_how_often_is_looked_leaves_room_in_what_is_promised():
    assert registry_watch.LOOK_SECONDS + champions.LOOK_SECONDS < WITHIN_SECONDS


@pytest.mark.slow
def test_the_process_brings_an_alias_to_the_service(settings, client, context):
    """The real process beside a watching service: there by the alias, back by the service, and gone with SIGTERM."""
    watching = Champions(settings).watch()
    watching.current()
    process = subprocess.Popen(
        follow_registry_command(), env=serve_environment(settings), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def is_served(version):
        assert process.poll() is None
        return watching.current().bundles["ridge"].version == version

    try:
        for version in ("2", "3"):
            client.set_registered_model_alias("ridge", "champion", version)
            until(lambda version=version: is_served(version))
        roll_back(context, "ridge")
        until(lambda: is_served("2"))
        until(lambda: alias(client) == "2")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
        watching.close()


def test_the_process_ends_with_the_one_that_started_it(settings):
    command = "from serving.supervision.launch import follow_registry_command as command"
    code = f"import subprocess; {command}; print(subprocess.Popen(command(), stdout=2).pid)"
    started = subprocess.run(
        [sys.executable, "-c", code],
        env=serve_environment(settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        timeout=120,
    )
    until(lambda: "Z (" in _state(started.stdout.strip()), "it went on alone")


def _state(process_id):
    try:
        return Path(f"/proc/{process_id}/status").read_text().split("State:")[1].splitlines()[0]
    except OSError:
        return "Z ("


def test_promotion_and_follower_at_once_leave_one_story(settings, client, context, follower, variant):
    """Promotions run in another thread while the follower looks: every move is made by exactly one of them."""
    import threading

    def swap():
        for number in (1, 2, 1, 2):
            register_and_promote(variant("ridge", number), Lake.open(settings), settings, clock=CLOCK)

    thread = threading.Thread(target=swap)
    thread.start()
    said = []
    while thread.is_alive():
        said += follower.look()
    thread.join()
    said += follower.look()
    assert said == []
    assert in_service(settings).version == alias(client) == "3"
    assert context.lake.read(PROMOTIONS).height == 5
    assert registry.ALIAS == "champion"


def test_the_commands_move_models_with_their_alias_and_say_so(settings, client, monkeypatch):
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.tracking_uri)
    monkeypatch.setenv("COLUMNS", "200")
    read_settings.cache_clear()

    def say(*words):
        done = CliRunner().invoke(models.app, words)
        assert done.exit_code == 0, done.output
        return done.output

    try:
        assert "The champion of ridge is version 2 (before: 1), file" in say("promote", "ridge", "2")
        assert alias(client) == "2"
        assert "version 3 for 25% of the symbols" in say("canary", "ridge", "3", "--share", "0.25")
        shown = say("status")
        assert "canary" in shown
        assert "evidence worse" in shown
        found = json.loads(say("status", "--json"))
        assert [one["version"] for one in found["champions"]] == ["2"]
        assert found["challengers"][0] | {"since": "", "digest": ""} == {
            "model": "ridge", "version": "3", "digest": "", "mode": "canary", "share": 0.25, "since": "",
            "sessions": 0, "excess_loss": 0.0, "outside_band": 0.0, "evidence_worse": 1.0, "evidence_better": 1.0,
        }  # fmt: skip
        assert "The canary of ridge, version 3, is over; version 2 answers." in say("rollback", "ridge")
        assert "The champion of ridge is version 1 (before: 2)" in say("rollback", "ridge")
        assert alias(client) == "1"
        assert "version 2 for 100% of the symbols" in say("shadow", "ridge", "2")
        wrong = CliRunner().invoke(models.app, ["promote", "ridge", "99"])
        assert isinstance(wrong.exception, UnknownNameError)
    finally:
        read_settings.cache_clear()


def test_a_failure_is_tried_again_at_once_and_keeps_no_other_model_waiting(settings, client, monkeypatch):
    """A database that is locked for a moment changes nothing that could be seen, and is free a moment later."""
    client.create_registered_model("aardvark")
    client.create_model_version("aardvark", "nowhere")
    for model, version in (("aardvark", "1"), ("ridge", "2")):
        client.set_registered_model_alias(model, "champion", version)
    tried, waits, bring = [], [], RegistryFollower._bring_in_line

    def fails_for_one(follower, model):
        if model != "aardvark":
            return bring(follower, model)
        tried.append(model)
        raise OSError("database is locked")

    monkeypatch.setattr(RegistryFollower, "_bring_in_line", fails_for_one)
    follow(settings, lambda wait: waits.append(wait) or len(tried) == 3)
    assert len(waits) == 4, "it is tried again at each look, though nothing that can be seen has changed"
    assert in_service(settings).version == "2"
