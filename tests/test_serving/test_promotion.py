import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl
import pytest
from mlflow import MlflowClient

from lake.clock import FixedClock
from lake.errors import ConfigError, ModelError, NotReadyError, ParityError
from lake.market import BTC
from lake.settings import Settings
from lake.store import Lake
from lake.tables import PROMOTIONS
from serving.deployment import SERVING_FILE, Champions
from serving.deployment import registry as registry_module
from serving.deployment.confirmed import CONFIRMED_FILE, registry_digest
from serving.deployment.registry import register, register_and_promote
from serving.deployment.releases import champion_versions, load_champions
from serving.engines import MODEL_FILE, PARITY_FILE, Bundle, files_of
from serving.engines.signature import Signature
from training.tracking import TRACKED, Tracker

CLOCK = FixedClock(datetime(2012, 12, 31, 21, tzinfo=UTC))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """One migrated tracking database: making one takes seconds, copying it none."""
    settings = Settings(home=tmp_path_factory.mktemp("registry"))
    registry_module.Registry(settings)
    return settings.mlflow


@pytest.fixture
def settings(tmp_path, registry):
    shutil.copytree(registry, tmp_path / "mlflow")
    return Settings(home=tmp_path, mlflow_tracking_uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")


@pytest.fixture
def promote(settings):
    return lambda bundle, **given: register_and_promote(bundle, Lake.open(settings), settings, clock=CLOCK, **given)


@pytest.fixture
def second(exports, tmp_path):
    """The same network exported again under other table versions: another signature, so another version."""
    folder = shutil.copytree(exports["ridge"].folder, tmp_path / "second")
    signature = exports["ridge"].signature.model_copy(update={"table_versions": {"features_technical": 9}})
    (folder / "signature.json").write_text(signature.to_json())
    return Bundle.load(folder)


@pytest.mark.slow
def test_the_registry_is_opened_without_a_word(settings):
    script = f"""
from pathlib import Path
from lake.settings import Settings
from serving.deployment.registry import Registry
Registry(Settings(home=Path({str(settings.home)!r}), mlflow_tracking_uri={settings.tracking_uri!r}))
"""
    said = subprocess.run([sys.executable, "-W", "always", "-c", script], capture_output=True, check=True, text=True)
    assert "noload" not in said.stderr
    assert "INFO" not in said.stderr


def test_a_promoted_model_is_in_service(promote, settings, exports):
    report = promote(exports["ridge"], evidence={"pinball_loss": 0.004}, decided_by="test")
    assert report.details["model_version"] == "1"
    assert champion_versions(settings) == {"ridge": "1"}
    assert load_champions(settings)["ridge"].content == exports["ridge"].content
    (row,) = Lake.open(settings).read(PROMOTIONS).to_dicts()
    evidence = json.loads(row["evidence"])
    assert row["model_digest"] == exports["ridge"].digest
    assert row["previous_version"] is None
    assert row["known_time"] == CLOCK.now()
    assert evidence["pinball_loss"] == 0.004
    assert evidence["decided_by"] == "test"
    assert evidence["parity"]["windows"] >= 1_000


def test_the_registry_holds_file_signature_proof_and_alias(promote, settings, exports):
    promote(exports["ridge"])
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    version = client.get_model_version_by_alias("ridge", "champion")
    assert version.tags["digest"] == exports["ridge"].digest
    assert {f.path for f in client.list_artifacts(version.run_id, "bundle")} >= {
        f"bundle/{name}" for name in files_of(exports["ridge"].signature)
    }
    logged = client.download_artifacts(version.run_id, f"bundle/{MODEL_FILE}")
    assert Path(logged).read_bytes() == exports["ridge"].content
    from mlflow.onnx import load_model

    loaded = load_model(version.source)
    assert loaded.SerializeToString() == exports["ridge"].content


def test_a_version_leads_to_its_training_and_the_training_to_the_version(promote, settings, exports):
    tracker = Tracker(settings, TRACKED)
    run_id = tracker.run("ridge of a training", "abc")
    promote(exports["ridge"], evidence={"run_id": run_id})
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    version = client.get_model_version_by_alias("ridge", "champion")
    training = client.get_run(run_id)
    link = (
        f"[Training and walk-forward evaluation: ridge of a training](#/experiments/{training.info.experiment_id}/runs/"
    )
    assert f"{link}{run_id})" in version.description
    assert f"/runs/{version.run_id})" in version.description
    assert "Learnt until" in version.description
    assert "- Horizons 1 session, 5 sessions\n" in version.description
    assert version.tags["training_run"] == run_id
    assert training.data.tags["registered_version"] == "ridge 1"
    assert "alias `champion`" in client.get_registered_model("ridge").description


def test_a_version_names_its_horizons_as_its_market_does(settings, exports):
    """Of bars of 15 minutes five are 75 minutes, whatever the tables call them."""
    replace(BTC, horizons=("15 minutes", "75 minutes")).write(settings.home)
    version = register(exports["ridge"], settings)
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    assert "- Horizons 15 minutes, 75 minutes\n" in client.get_model_version("ridge", version).description


def test_a_model_that_was_trained_into_another_server_is_promoted_without_a_link(promote, settings, exports):
    promote(exports["ridge"], evidence={"run_id": "0" * 32})
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    version = client.get_model_version_by_alias("ridge", "champion")
    assert "Training" not in version.description
    assert "training_run" not in version.tags


def test_a_logged_model_says_its_inputs_and_outputs(promote, settings, exports):
    from mlflow.models import get_model_info

    promote(exports["ridge"])
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    source = client.get_model_version("ridge", "1").source
    said, signature = get_model_info(urlsplit(source).path).signature, exports["ridge"].signature
    (window,), (quantiles,) = said.inputs.inputs, said.outputs.inputs
    assert (window.name, window.shape) == ("window", (-1, signature.sessions, signature.channels))
    assert (quantiles.name, quantiles.shape) == ("quantiles", (-1, len(signature.horizons), 3))
    assert {window.type.name, quantiles.type.name} == {"float32"}


def test_promoting_the_same_file_again_does_nothing(promote, settings, exports):
    promote(exports["ridge"])
    before = (settings.models / SERVING_FILE).stat().st_mtime_ns
    report = promote(exports["ridge"])
    assert report.skipped
    assert "in service already" in report.details["reason"]
    assert (settings.models / SERVING_FILE).stat().st_mtime_ns == before
    assert Lake.open(settings).read(PROMOTIONS).height == 1


@pytest.fixture
def confirmed(promote, settings, exports, monkeypatch):
    """A model in service that the registry was asked about; asking once more is counted."""
    promote(exports["ridge"])
    promote(exports["ridge"])
    asked = []

    class Counted(registry_module.Registry):
        def __init__(self, configured):
            asked.append(configured)
            super().__init__(configured)

    monkeypatch.setattr(registry_module, "Registry", Counted)
    return asked


def test_a_registry_is_not_asked_again_while_its_file_is_the_same(promote, confirmed, exports):
    report = promote(exports["ridge"])
    assert report.skipped
    assert "version 1 of 'ridge' is in service already" in report.details["reason"]
    assert confirmed == []


def test_an_alias_that_was_moved_in_an_asked_registry_is_brought_back(promote, settings, confirmed, exports):
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    client.delete_registered_model_alias("ridge", "champion")
    promote(exports["ridge"])
    assert confirmed
    assert client.get_model_version_by_alias("ridge", "champion").version == 1


def test_the_same_network_with_another_signature_is_another_version(promote, settings, confirmed, second):
    assert promote(second).details["model_version"] == "2"
    assert confirmed
    assert champion_versions(settings) == {"ridge": "2"}


def test_a_torn_note_of_what_the_registry_said_is_not_believed(promote, settings, confirmed, exports):
    for content in ("{", "[]", '{"registry": 1}'):
        (settings.models / CONFIRMED_FILE).write_text(content)
        assert promote(exports["ridge"]).skipped
    assert len(confirmed) == 3


def test_a_registry_on_a_server_is_never_taken_as_unchanged(settings):
    elsewhere = settings.model_copy(update={"mlflow_tracking_uri": "http://127.0.0.1:5999"})
    assert registry_digest(elsewhere) is None
    assert registry_digest(settings) is not None


def test_a_new_version_names_the_one_before_and_the_old_one_can_come_back(promote, settings, exports, second):
    promote(exports["ridge"])
    assert promote(second).details["model_version"] == "2"
    assert champion_versions(settings) == {"ridge": "2"}
    promote(exports["ridge"])
    assert champion_versions(settings) == {"ridge": "1"}
    moves = Lake.open(settings).read(PROMOTIONS).sort("event_time")
    assert moves.select("previous_version", "model_version").rows() == [(None, "1"), ("1", "2"), ("2", "1")]


@pytest.mark.parametrize("tampering", ["no proof", "weak proof", "altered file"])
def test_a_model_without_its_proof_moves_nothing(promote, settings, exports, second, tampering):
    promote(exports["ridge"])
    if tampering == "no proof":
        (second.folder / PARITY_FILE).unlink()
    elif tampering == "weak proof":
        said = json.loads((second.folder / PARITY_FILE).read_text())
        (second.folder / PARITY_FILE).write_text(json.dumps(said | {"max_absolute_difference": 1e-4}))
    else:
        (second.folder / MODEL_FILE).write_bytes(exports["naive"].content)
    with pytest.raises(ModelError if tampering == "altered file" else ParityError):
        promote(second)
    assert champion_versions(settings) == {"ridge": "1"}
    assert Lake.open(settings).read(PROMOTIONS).height == 1
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    assert len(client.search_model_versions("name = 'ridge'")) == 1


@pytest.mark.parametrize("step", ["place", "write_down", "write_deployment"])
def test_an_interrupted_promotion_is_finished_by_the_next(promote, settings, exports, second, monkeypatch, step):
    promote(exports["ridge"])

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(registry_module, step, die)
        with pytest.raises(KeyboardInterrupt):
            promote(second)
    assert champion_versions(settings) == {"ridge": "1"}
    assert load_champions(settings)["ridge"].digest == exports["ridge"].digest
    promote(second)
    assert champion_versions(settings) == {"ridge": "2"}
    moves = Lake.open(settings).read(PROMOTIONS, where=pl.col("model_version") == "2")
    assert moves.height == 1
    client = MlflowClient(settings.tracking_uri, settings.tracking_uri)
    assert client.get_model_version_by_alias("ridge", "champion").version == 2
    assert len(client.search_model_versions("name = 'ridge'")) == 2


def test_a_models_folder_of_another_home_is_refused(promote, settings, exports):
    promote(exports["ridge"])
    shutil.copytree(settings.models / "ridge", settings.models / "naive")
    with pytest.raises(ConfigError, match="already holds another model"):
        promote(exports["naive"])


def test_without_a_promotion_nothing_is_in_service(settings):
    with pytest.raises(NotReadyError, match="No model is in service"):
        champion_versions(settings)
    with pytest.raises(ModelError, match="No model is in service"):
        Champions(settings).current()


@pytest.mark.parametrize("text", ["{", "[]", '{"ridge": 1}'])
def test_a_serving_file_that_makes_no_sense_is_refused(settings, text):
    settings.models.mkdir()
    (settings.models / SERVING_FILE).write_text(text)
    with pytest.raises(ModelError, match="`quantlake models restore`"):
        champion_versions(settings)


def test_the_service_takes_up_a_promotion_and_keeps_a_set_that_is_in_use(promote, settings, exports, second):
    promote(exports["ridge"])
    champions = Champions(settings)
    old = champions.current()
    assert champions.current() is old
    promote(second)
    new = champions.current()
    assert (old.bundles["ridge"].version, new.bundles["ridge"].version) == ("1", "2")
    assert champions.problem is None


def test_a_set_that_cannot_be_loaded_is_never_activated(promote, settings, exports, second):
    promote(exports["ridge"])
    champions = Champions(settings)
    old = champions.current()
    promote(second)
    (settings.models / "ridge" / "2" / MODEL_FILE).write_bytes(b"corrupt")
    assert champions.current() is old
    assert "altered after export" in champions.problem


def test_a_set_cut_by_other_windows_is_never_activated(promote, settings, exports, second):
    promote(exports["ridge"])
    champions = Champions(settings)
    old = champions.current()
    other = second.signature.model_copy(update={"sessions": 29})
    (second.folder / "signature.json").write_text(other.to_json())
    promote(replace(second, signature=Signature.model_validate(other)))
    assert champions.current() is old
    assert "29 sessions" in champions.problem
