"""Forecasts of models whose windows were cut by an earlier specification are made again from such windows."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.materialize import update_windows
from feature_repo.targets import FORECAST_V1, FORECAST_V2, build_windows, to_model_input, window_hash
from lake.clock import DEMO_START
from lake.errors import EngineError
from lake.store import Lake
from lake.tables import FORECASTS, MODEL_WINDOWS
from serving.backfill import replay_forecasts
from serving.engines import Bundle, load_engine
from serving.engines.export import export_model
from serving.replay import backfills, counts, receipt_of, replay
from support import receipts as at_home
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network

SESSIONS, SYMBOLS = 3, 25


@pytest.fixture(scope="module")
def earlier(featured_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A model as it was exported before expected volatility was a feature."""
    values = build_windows(featured_lake.read_as_of(FEATURES_TECHNICAL, DEMO_START), FORECAST_V1).values
    inputs = to_model_input(values[np.linspace(0, len(values) - 1, 1_200).astype(int)])
    spec = InputSpec(FORECAST_V1.features, FORECAST_V1.sessions, FORECAST_V1.scales)
    network = build_network("ridge", spec, OutputSpec(), fit_scaler(inputs)).eval()
    network.residuals.copy_(network.residuals.new_tensor([[-1.2, 0.0, 1.3], [-1.1, 0.0, 1.2]]))
    folder, versions = tmp_path_factory.mktemp("earlier") / "ridge", featured_lake.versions([FEATURES_TECHNICAL])
    return export_model(
        network, "ridge", FORECAST_V1, versions, inputs, folder, train_until=DEMO_START.replace(year=2011)
    )


@pytest.fixture(scope="module")
def mine(home: Any, earlier: Bundle, tmp_path_factory: pytest.TempPathFactory) -> at_home.Home:
    """A home in which that model has replayed some sessions; to read only."""
    made = at_home.copied(home.settings, tmp_path_factory.mktemp("mine") / "home", with_forecasts=False)
    folder = made.settings.models / "ridge" / "9"
    shutil.copytree(earlier.folder, folder)
    engine = load_engine(Bundle.load(folder, version="9"), made.settings)
    report = replay_forecasts(made.lake, {"ridge": engine}, made.clock, SESSIONS, FORECAST_V1)
    assert report.added == SESSIONS * SYMBOLS * 2
    return made


def test_backfilled_forecasts_come_out_equal(mine: at_home.Home) -> None:
    found = replay(mine.lake, mine.settings, newest=1_000)
    assert counts(found) == {"equal": SESSIONS * SYMBOLS * 2, "close": 0, "differs": 0, "unknown": 0}


def test_cut_by_the_newest_specification_they_could_not_be(mine: at_home.Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfills, "_spec_of", lambda *_: FORECAST_V2)
    with pytest.raises(EngineError, match=r"takes float32 \[batch, 30, 40\]"):
        replay(mine.lake, mine.settings, newest=1_000)


def test_a_receipt_names_the_features_of_its_window(mine: at_home.Home) -> None:
    one = mine.lake.read(FORECASTS).row(0, named=True)
    vector = receipt_of(mine.lake, mine.settings, one["forecast_id"]).feature_vector
    assert tuple(vector.features) == FORECAST_V1.features
    assert window_hash(np.array(vector.values, float).astype(np.float32)) == vector.hash == one["feature_hash"]


def test_a_served_forecast_is_told_its_own_window_among_those_of_two_specifications(home: Any, tmp_path: Path) -> None:
    made = at_home.copied(home.settings, tmp_path / "home", with_forecasts=False)
    update_windows(made.lake, made.clock, FORECAST_V1)
    assert made.lake.read(MODEL_WINDOWS)["signature"].n_unique() == 2
    at_home.assign(made, (0.1, 0.2, 0.3, 0.4))
    assert at_home.serve(made, 20, seed=4) == 20
    assert counts(replay(made.lake, made.settings)) == {"equal": 20, "close": 0, "differs": 0, "unknown": 0}
