"""A home that was moved or copied keeps its MLflow artefacts to itself."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from lake.settings import Settings
from training.tracking import addresses, localize, open_store, runs_page


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with a run, its files, a registered version, a logged model, and addresses that are elsewhere."""
    settings = Settings(home=tmp_path_factory.mktemp("first") / "a home")
    client, experiment = open_store(settings, "quantlake")
    run = client.create_run(experiment, run_name="one")
    client.log_dict(run.info.run_id, {"is": "first"}, "said.json")
    client.create_registered_model("lstm")
    client.create_model_version("lstm", f"{run.info.artifact_uri}/bundle", run_id=run.info.run_id)
    client.create_model_version("lstm", "s3://bucket/mlflow/artifacts/bundle")
    client.create_logged_model(experiment, name="lstm")
    client.create_experiment("far", artifact_location="s3://bucket/mlflow/artifacts")
    client.create_experiment("near", artifact_location="file:///srv/other/place")
    return settings


@pytest.fixture(autouse=True)
def _another_process() -> None:
    """Forget what MLflow remembers of a run's folder for as long as a process runs."""
    _artifact_repos_cache.clear()


@pytest.fixture
def moved(made: Settings, tmp_path: Path) -> Settings:
    return Settings(home=Path(shutil.copytree(made.home, tmp_path / "new home")))


def texts(settings: Settings) -> str:
    with closing(sqlite3.connect(settings.mlflow / "mlflow.db")) as connection:
        return "\n".join(connection.iterdump())


def test_a_copied_home_writes_nothing_into_the_original(made: Settings, moved: Settings) -> None:
    before = sorted(made.mlflow.rglob("*"))
    client, experiment = open_store(moved, "quantlake")
    run = client.create_run(experiment, run_name="two")
    client.log_dict(run.info.run_id, {"is": "second"}, "said.json")
    (first,) = client.search_runs([experiment], "attributes.run_name = 'one'")
    client.log_dict(first.info.run_id, {"is": "late"}, "late.json")
    assert sorted(made.mlflow.rglob("*")) == before
    assert len(list(moved.mlflow.rglob("late.json"))) == 1
    assert first.info.artifact_uri.startswith(moved.mlflow.as_uri())
    assert made.mlflow.as_uri() not in texts(moved)
    assert str(made.home) not in texts(moved)


def test_a_home_whose_old_place_is_gone_has_its_artefacts_and_takes_new_ones(moved: Settings, tmp_path: Path) -> None:
    open_store(moved, "quantlake")
    _artifact_repos_cache.clear()
    last = Settings(home=Path(shutil.move(moved.home, tmp_path / "moved again")))
    client, experiment = open_store(last, "quantlake")
    (first,) = client.search_runs([experiment], "attributes.run_name = 'one'")
    client.log_dict(first.info.run_id, {"is": "late"}, "late.json")
    there = client.download_artifacts(first.info.run_id, "said.json", str(tmp_path))
    assert json.loads(Path(there).read_text(encoding="utf-8")) == {"is": "first"}
    assert len(list(last.mlflow.rglob("late.json"))) == 1
    assert not moved.home.exists()


def test_an_experiment_of_an_earlier_version_is_told_to_be_one_of_models(moved: Settings) -> None:
    client, experiment = open_store(moved, "near")
    assert client.get_experiment(experiment).tags["mlflow.experimentKind"] == "custom_model_development"
    assert runs_page(moved, "near") == f"/experiments/{experiment}/runs?workflowType=machine_learning"


def test_an_experiment_is_described_and_a_description_of_a_person_stays(moved: Settings) -> None:
    client, experiment = open_store(moved, "quantlake", "What is in it.")
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "What is in it."
    client.set_experiment_tag(experiment, "mlflow.note.content", "Ours.")
    open_store(moved, "quantlake", "What is in it.")
    assert client.get_experiment(experiment).tags["mlflow.note.content"] == "Ours."


def test_without_the_rewriting_the_original_is_written_to(made: Settings, moved: Settings, monkeypatch) -> None:
    monkeypatch.setattr("training.tracking.store.localize", lambda _: 0)
    client, experiment = open_store(moved, "quantlake")
    run = client.create_run(experiment, run_name="two")
    client.log_dict(run.info.run_id, {}, "stray.json")
    (stray,) = made.mlflow.rglob("stray.json")
    stray.unlink()


def test_addresses_elsewhere_stay(moved: Settings) -> None:
    client, _ = open_store(moved, "quantlake")
    assert client.get_experiment_by_name("far").artifact_location == "s3://bucket/mlflow/artifacts"
    assert client.get_experiment_by_name("near").artifact_location == "file:///srv/other/place"
    assert client.get_model_version("lstm", "2").source == "s3://bucket/mlflow/artifacts/bundle"
    assert client.get_model_version("lstm", "1").source.startswith(moved.mlflow.as_uri())


def test_the_second_time_there_is_nothing_to_do(moved: Settings) -> None:
    assert localize(moved) > 0
    before = texts(moved)
    assert localize(moved) == 0
    assert texts(moved) == before


def test_a_kill_in_the_middle_leaves_the_old_addresses(made: Settings, moved: Settings, monkeypatch) -> None:
    def move(connection: sqlite3.Connection, table: str, *rest: str) -> int:
        if table == "runs":
            raise KeyboardInterrupt
        return real(connection, table, *rest)

    real = addresses._move
    monkeypatch.setattr(addresses, "_move", move)
    with pytest.raises(KeyboardInterrupt):
        localize(moved)
    assert texts(moved) == texts(made)


def test_mlflows_own_experiment_lies_in_the_home_and_not_where_the_process_ran(made: Settings) -> None:
    client = MlflowClient(tracking_uri=made.tracking_uri)
    assert client.get_experiment("0").artifact_location == f"{made.mlflow.as_uri()}/artifacts/0"


def test_a_tracking_server_is_never_touched(moved: Settings) -> None:
    before = texts(moved)
    assert localize(moved.model_copy(update={"mlflow_tracking_uri": f"sqlite:///{moved.mlflow / 'mlflow.db'}"})) == 0
    assert texts(moved) == before
    assert localize(Settings(home=moved.home / "empty")) == 0
