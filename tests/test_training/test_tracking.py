import os
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lake.errors import ConfigError
from lake.market import Market
from lake.settings import Settings
from training.tracking import MOST_KEYS, Measure, Tracker, open_store


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("tracking"))


@pytest.fixture(scope="module")
def tracker(home: Settings) -> Tracker:
    return Tracker(home, "quantlake")


def test_a_run_holds_what_it_was_given(tracker: Tracker, home: Settings, tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(b"png")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.pt").write_bytes(b"weights")
    run_id = tracker.run("lstm demo", "abc")
    tracker.log(
        run_id,
        parameters={"hidden": 8},
        measures=[Measure("pinball_loss_1", 0.5, 2009), Measure("pinball_loss_1", 0.25, 2010)],
        tags={"table_versions": {"labels": 3}, "seeds": (7,)},
        files={"plots": [tmp_path / "plot.png"], "model": [tmp_path / "model"]},
    )
    client = MlflowClient(tracking_uri=home.tracking_uri)
    run = client.get_run(run_id)
    assert run.data.params == {"hidden": "8"}
    assert run.data.tags["table_versions"] == '{"labels": 3}'
    assert run.info.status == "FINISHED"
    history = client.get_metric_history(run_id, "pinball_loss_1")
    assert [(one.step, one.value) for one in history] == [(2009, 0.5), (2010, 0.25)]
    stored = sorted(path.name for path in home.mlflow.rglob("*") if path.is_file() and run_id in str(path))
    assert stored == ["plot.png", "weights.pt"]


def test_one_run_per_name_and_fingerprint(tracker: Tracker, home: Settings) -> None:
    first = tracker.run("tft demo", "abc")
    assert tracker.run("tft demo", "abc") == first
    assert Tracker(home, "quantlake").run("tft demo", "abc") == first
    assert tracker.run("tft demo", "other") != first
    assert tracker.run("lstm demo 2", "abc") != first


def test_a_run_can_be_added_to(tracker: Tracker, home: Settings) -> None:
    run_id = tracker.run("ridge demo", "abc")
    tracker.log(run_id, parameters={"penalty": 10.0}, measures=[Measure("a", 1.0)])
    tracker.log(run_id, parameters={"penalty": 10.0}, measures=[Measure("b", 2.0)])
    data = MlflowClient(tracking_uri=home.tracking_uri).get_run(run_id).data
    assert data.metrics == {"a": 1.0, "b": 2.0}


def test_more_keys_than_can_be_shown_are_refused(tracker: Tracker) -> None:
    run_id = tracker.run("wide", "abc")
    tracker.log(run_id, measures=[Measure(f"m{number}", 0.0) for number in range(MOST_KEYS)])
    with pytest.raises(ConfigError, match=r"41 metric keys, at most 40"):
        tracker.log(run_id, measures=[Measure(f"m{number}", 0.0) for number in range(MOST_KEYS + 1)])


def test_nothing_is_reported_home_and_no_pickle_is_read(tracker: Tracker) -> None:
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert tracker
    assert is_telemetry_disabled()
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_another_store_is_taken_by_address(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    configured = Settings(home=tmp_path / "home", mlflow_tracking_uri=elsewhere)
    run_id = Tracker(configured, "quantlake").run("lstm", "abc")
    assert MlflowClient(tracking_uri=elsewhere).get_run(run_id).info.run_name == "lstm"
    assert not (tmp_path / "home" / "mlflow").exists()


def test_a_tracking_server_holds_the_models_of_one_market(tmp_path: Path) -> None:
    server = f"sqlite:///{tmp_path / 'mlflow.db'}"
    homes = []
    for name in ("desk", "fund"):
        Market(name, source="file").write(tmp_path / name)
        homes.append(Settings(home=tmp_path / name, mlflow_tracking_uri=server))
    desk, fund = homes
    open_store(desk, "desk")
    open_store(desk, "promotions")
    with pytest.raises(ConfigError, match=r"holds the models of the market 'desk', and this home is of 'fund'"):
        open_store(fund, "fund")
    assert MlflowClient(tracking_uri=server).get_experiment_by_name("fund") is None
    open_store(fund.model_copy(update={"mlflow_tracking_uri": None}), "fund")
