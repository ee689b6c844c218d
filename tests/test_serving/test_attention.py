"""The graph with attention of an exported transformer: rows that add up, the served forecast, its own digest."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.targets import FORECAST_V2, HORIZONS
from lake.errors import ModelError, NoAttentionError, ParityError
from serving.engines import (
    EXPLAIN_FILE,
    PARITY_FILE,
    SIGNATURE_FILE,
    AttentionEngine,
    Background,
    Bundle,
    OnnxEngine,
    Signature,
)
from serving.engines.bundles import AttentionParity, Parity
from serving.engines.export import export_model
from training.data import WindowSet
from training.experiments import parse_experiment
from training.fit import fit_model

TRAIN_UNTIL = datetime(2011, 12, 30, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def trained(inputs: np.ndarray, background: Background, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A tiny transformer that learnt a signal from real windows, exported with its graph."""
    places = [FORECAST_V2.features.index(name) for name in FORECAST_V2.scales]
    windows = inputs[(inputs[:, -1, places] > 0).all(axis=1)]
    sigma = windows[:, -1, places] / np.sqrt(252)
    noise = np.random.default_rng(5).standard_normal((len(windows), len(HORIZONS)))
    returns = (sigma * (np.sign(windows[:, -3, 0, None]) + noise)).astype(np.float32)
    ends = [TRAIN_UNTIL + timedelta(days=day) for day in range(len(windows))]
    keys = pl.DataFrame(
        {"symbol": ["A"] * len(windows), "event_time": ends, "label_end": ends},
        schema_overrides={name: pl.Datetime("us", "UTC") for name in ("event_time", "label_end")},
    )
    parts = [WindowSet(windows[part], returns[part], keys[part]) for part in (slice(0, 800), slice(800, None))]
    plan = {"epochs": 6, "batch_windows": 64, "threads": 1}
    sizes = {"hidden": 8, "heads": 2, "learning_rate": 0.02}
    experiment = parse_experiment(
        {
            "name": "tiny",
            "optimisation": plan,
            "search": {"hidden": [8]},
            "parameters": {"tft": sizes, "lstm": {"hidden": 8}},
        }
    )
    fitted = fit_model("tft", *parts, experiment)
    assert fitted.loss < fitted.history[0], "it has learnt something"
    folder = tmp_path_factory.mktemp("trained") / "tft"
    return export_model(
        fitted.network.eval(), "tft", FORECAST_V2, {}, inputs, folder, train_until=TRAIN_UNTIL, background=background
    )


@pytest.fixture
def folder(transformer: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(transformer.folder, tmp_path / "tft"))


@pytest.mark.parametrize("weights", ["drawn", "trained"])
def test_every_row_of_weights_adds_up_to_one_and_the_quantiles_are_the_served_ones(weights, inputs, request):
    transformer = request.getfixturevalue({"drawn": "transformer", "trained": "trained"}[weights])
    read = AttentionEngine.load(transformer).look(inputs[:300])
    assert read.attention.shape == (300, 2, 30 + 5)  # the horizons 1 and 5, the window and five steps ahead
    assert read.feature_weights.shape == (300, 30, len(FORECAST_V2.features))
    assert read.availability_weights.shape == (300, len(FORECAST_V2.features))
    for rows in (read.attention, read.feature_weights, read.availability_weights):
        np.testing.assert_allclose(rows.sum(axis=-1), 1, atol=1e-5)
        assert rows.min() >= 0
    np.testing.assert_allclose(read.quantiles, OnnxEngine(transformer).predict(inputs[:300]), atol=1e-5, rtol=0)


def test_no_step_looks_at_one_that_comes_after_it(transformer, inputs):
    read = AttentionEngine.load(transformer).look(inputs[:300])
    assert (read.attention[:, 0, 31:] == 0).all(), "the first step ahead sees the window and itself"
    assert (read.attention[:, 1, :30] > 0).all()


def test_the_proof_is_of_the_graph_that_the_signature_names(transformer):
    proof = transformer.parity.attention
    assert proof.digest == transformer.signature.explain != transformer.digest
    assert proof.windows >= 1_000
    assert max(proof.max_absolute_difference, proof.max_weight_difference, proof.max_sum_error) <= 1e-5
    assert EXPLAIN_FILE in transformer.files


def test_an_altered_graph_is_refused(folder):
    content = bytearray((folder / EXPLAIN_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / EXPLAIN_FILE).write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"explain\.onnx has digest"):
        Bundle.load(folder)


def test_a_missing_graph_is_refused(folder):
    (folder / EXPLAIN_FILE).unlink()
    with pytest.raises(ModelError, match=r"explain\.onnx is missing"):
        Bundle.load(folder)


def test_a_graph_without_a_proof_of_its_own_is_refused(folder):
    parity = json.loads((folder / PARITY_FILE).read_text())
    (folder / PARITY_FILE).write_text(json.dumps({k: v for k, v in parity.items() if k != "attention"}))
    with pytest.raises(ParityError, match="has no parity proof of its own"):
        Bundle.load(folder)


def test_a_proof_beyond_the_tolerance_is_none(folder):
    parity = json.loads((folder / PARITY_FILE).read_text())
    parity["attention"]["max_weight_difference"] = 2e-5
    (folder / PARITY_FILE).write_text(json.dumps(parity))
    with pytest.raises(ParityError, match=r"less than or equal to 0\.00001"):
        Bundle.load(folder)


def test_a_model_without_attention_and_a_bundle_from_before_say_what_to_do(exports, folder):
    with pytest.raises(NoAttentionError, match="No graph with attention among the models asked for: ridge"):
        AttentionEngine.load(exports["ridge"])
    for file, name in ((SIGNATURE_FILE, "explain"), (PARITY_FILE, "attention")):
        values = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps({k: v for k, v in values.items() if k != name}))
    with pytest.raises(NoAttentionError, match="materialise the asset `served_models`"):
        AttentionEngine.load(Bundle.load(folder))


def test_input_that_does_not_fit_is_refused(transformer, inputs):
    from lake.errors import EngineError

    with pytest.raises(EngineError, match="float32"):
        AttentionEngine.load(transformer).look(inputs[:2, :-1])


def test_a_signature_that_names_a_graph_needs_the_proof_of_that_graph():
    digest, graph = "a" * 64, "b" * 64
    until = datetime(2011, 12, 30, 21, tzinfo=UTC)
    shape = {"window_spec": "w", "features": ("a",), "sessions": 1, "horizons": (1,), "quantiles": (0.1, 0.5, 0.9)}
    origin = {"scaler": "none", "table_versions": {}, "train_until": until, "code_version": "0"}
    signature = Signature(name="tft", digest=digest, explain=graph, **shape, **origin)
    served = {"batch_sizes": (1,), "sign_agreement": 1.0, "engine": "onnxruntime", "torch": "2"}
    parity = Parity(windows=1_000, max_absolute_difference=0.0, digest=digest, **served)
    exact = {"windows": 1_000, "max_absolute_difference": 0.0, "max_weight_difference": 0.0, "max_sum_error": 0.0}
    other, own = (parity.model_copy(update={"attention": AttentionParity(digest=d, **exact)}) for d in (digest, graph))
    for proof in (parity, other):
        with pytest.raises(ParityError, match="has no parity proof of its own"):
            proof.require(signature)
    own.require(signature)
