"""One battery for every engine; what an engine has to answer comes from torch and from paper."""

import math
from datetime import UTC, datetime
from statistics import NormalDist

import numpy as np
import pytest
import torch

from feature_repo.targets import FORECAST_V2
from lake.errors import EngineError
from lake.settings import Settings
from serving.engines import OnnxEngine, load_engine, tensorrt
from serving.engines.base import require_output
from serving.engines.batch_granularity import ALONE, measure_grain
from serving.engines.export import export_model
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network
from training.models.trees import fit_trees

TRAIN_UNTIL = datetime(2011, 12, 30, 21, tzinfo=UTC)


def configured(tmp_path, engine, precision="fp32"):
    return Settings(home=tmp_path, engine=engine, precision=precision)


@pytest.fixture(
    params=[
        pytest.param(("onnx", "fp32", 1e-5), id="onnx"),
        pytest.param(("tensorrt", "fp32", 1e-4), id="tensorrt-fp32", marks=pytest.mark.gpu),
        pytest.param(("tensorrt", "fp16", 2e-3), id="tensorrt-fp16", marks=pytest.mark.gpu),
    ]
)
def engines(request, exports, tmp_path):
    """Every exported model in one kind of engine, and the difference from torch that kind may show."""
    kind, precision, tolerance = request.param
    if kind == "tensorrt":
        try:
            tensorrt.gpu_name()
            tensorrt.tensorrt_version()
        except EngineError as error:
            pytest.skip(f"no TensorRT here: {error}")
    settings = configured(tmp_path, kind, precision)
    return {name: load_engine(bundle, settings) for name, bundle in exports.items()}, tolerance


def test_it_answers_like_torch(engines, networks, inputs):
    loaded, tolerance = engines
    for name, engine in loaded.items():
        with torch.inference_mode():
            expected = networks[name](torch.from_numpy(inputs)).numpy()
        found = engine.predict(inputs)
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() <= tolerance


def test_the_naive_model_answers_the_normal_distribution(engines, inputs):
    loaded, tolerance = engines
    sigma = inputs[:, -1, FORECAST_V2.features.index("volatility_20d")] / math.sqrt(252)
    tail = NormalDist().inv_cdf(0.9)
    found = loaded["naive"].predict(inputs)
    for position, horizon in enumerate((1, 5)):
        expected = sigma[:, None] * math.sqrt(horizon) * np.array([-tail, 0.0, tail])
        assert np.abs(found[:, position] - expected).max() <= tolerance


@pytest.mark.parametrize("batch", [1, 2, 127, 128, 129, 300])
def test_any_batch_size_gives_the_same_forecast(engines, inputs, batch):
    loaded, tolerance = engines
    whole = loaded["lstm"].predict(inputs[:300])
    parts = [loaded["lstm"].predict(inputs[start : min(start + batch, 300)]) for start in range(0, 300, batch)]
    assert np.abs(np.concatenate(parts) - whole).max() <= min(tolerance, 1e-6)


def test_the_same_input_gives_the_same_bits(engines, inputs):
    engine = engines[0]["lstm"]
    assert np.array_equal(engine.predict(inputs[:130]), engine.predict(inputs[:130]))


@pytest.mark.parametrize("name", ["naive", "ridge", "lstm"])
def test_a_window_has_the_same_bits_in_every_batch(exports, inputs, name):
    engine = OnnxEngine(exports[name])
    x = inputs[:128]
    expected = engine.predict(x)
    random = np.random.default_rng(3)
    for size in range(1, 129):
        chosen = random.choice(128, size, replace=False)
        assert (engine.predict(x[chosen]) == expected[chosen]).all(), f"other bits in a batch of {size}"


def test_what_is_exported_needs_no_company(exports):
    assert {name: OnnxEngine(export).grain for name, export in exports.items()} == dict.fromkeys(exports, 1)


@pytest.mark.slow
def test_a_temporal_fusion_transformer_has_the_same_bits_in_every_batch(inputs, tmp_path):
    spec = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions)
    network = build_network("tft", spec, OutputSpec(), fit_scaler(inputs), hidden=4, heads=2)
    bundle = export_model(network, "tft", FORECAST_V2, {}, inputs, tmp_path / "tft", train_until=TRAIN_UNTIL)
    engine = OnnxEngine(bundle)
    assert engine.grain == 1
    expected = engine.predict(inputs[:128])
    for size in (1, 2, 3, 5, 6, 7, 9, 17, 33, 63, 127):
        assert (engine.predict(inputs[128 - size : 128]) == expected[128 - size :]).all(), size


def test_a_file_with_unsteady_bits_is_filled_up_to_its_grain(exports, networks, inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("serving.engines.graphs.with_steady_bits", lambda content: content)
    bundle = export_model(networks["lstm"], "lstm", FORECAST_V2, {}, inputs, tmp_path / "old", train_until=TRAIN_UNTIL)
    engine = OnnxEngine(bundle)
    assert engine.grain > 1
    expected = engine.predict(inputs[:128])
    sizes = range(1, 34)
    assert all((engine.predict(inputs[:size]) == expected[:size]).all() for size in sizes)
    bare = [engine._run(inputs[:size]) for size in sizes]  # the mutant: without filling up, some size differs
    assert not all((found == expected[: len(found)]).all() for found in bare)


def test_a_model_whose_bits_depend_on_the_place_is_given_one_window_at_a_time(exports, inputs):
    engine = OnnxEngine(exports["ridge"])
    run = engine._run

    def by_place(x):
        places = np.arange(len(x), dtype=np.float32)[:, None, None]
        return run(x) + places * np.float32(1e-6)

    assert measure_grain(by_place, engine.signature) == ALONE
    expected = engine.predict(inputs[:5])
    engine._run, engine.grain = by_place, ALONE
    assert (engine.predict(inputs[:5]) == expected).all()
    assert not (by_place(inputs[:5]) == expected).all()


@pytest.mark.slow
def test_trees_of_any_number_have_the_same_bits_in_every_batch(inputs, tmp_path):
    spec, outputs = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions), OutputSpec()
    y = np.random.default_rng(5).normal(0, 0.02, (len(inputs), 2)).astype(np.float32)
    network = fit_trees(
        build_network("lightgbm", spec, outputs, fit_scaler(inputs)), inputs, y, rounds=5, rows_per_leaf=20
    )
    bundle = export_model(network, "lightgbm", FORECAST_V2, {}, inputs, tmp_path / "trees", train_until=TRAIN_UNTIL)
    assert OnnxEngine(bundle).grain == 1


def test_an_engine_that_is_never_steady_is_refused(exports, inputs):
    random = np.random.default_rng(0)
    with pytest.raises(EngineError, match="does not answer twice with the same bits"):
        measure_grain(lambda x: random.standard_normal((len(x), 2, 3)).astype(np.float32), exports["lstm"].signature)


def test_no_window_is_no_forecast(engines, inputs):
    assert engines[0]["lstm"].predict(inputs[:0]).shape == (0, 2, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_by_position(engines, inputs, value):
    bad = inputs[:5].copy()
    bad[3, 12, 7] = value
    with pytest.raises(EngineError, match=f"window 3, session 12, value of '{FORECAST_V2.features[7]}'"):
        engines[0]["lstm"].predict(bad)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:, :-1],
        lambda x: x[:, :, :-1],
        lambda x: x[0],
        lambda x: x.astype(np.float64),
    ],
    ids=["short window", "few channels", "no batch axis", "float64"],
)
def test_another_shape_or_type_is_refused(engines, inputs, change):
    with pytest.raises(EngineError, match="takes float32"):
        engines[0]["ridge"].predict(change(inputs[:4]))


def test_a_window_without_a_scale_has_no_forecast(engines, inputs):
    """The volatility that scales the forecast is flagged as not known: the model has no answer, and none is made up."""
    blind = inputs[:3].copy()
    for place in FORECAST_V2.scale_indices:
        blind[1, -1, [place, len(FORECAST_V2.features) + place]] = 0
    with pytest.raises(EngineError, match="window 1"):
        engines[0]["naive"].predict(blind)


def test_it_names_what_it_computes(engines, exports):
    for name, engine in engines[0].items():
        assert engine.digest == exports[name].digest
        assert engine.signature == exports[name].signature
        assert engine.version == "unregistered"
        assert engine.device


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (np.array([[[0, np.nan, 1]] * 2], np.float32), "answered nan for window 0, horizon 1, quantile 0.5"),
        (np.array([[[0, 1, 2], [0, 2, 1]]], np.float32), "out of order for window 0, horizon 5"),
        (np.zeros((1, 2, 2), np.float32), r"shape \[1, 2, 2\], expected \[1, 2, 3\]"),
    ],
)
def test_an_answer_that_is_no_forecast_is_refused(exports, answer, said):
    with pytest.raises(EngineError, match=said):
        require_output(answer, exports["lstm"].signature, 1)


def test_a_provider_that_is_not_there_is_no_reason_to_use_another(exports, tmp_path):
    settings = Settings(home=tmp_path, provider="cuda")
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(EngineError, match=r"offers only .*CPUExecutionProvider.*QUANTLAKE_PROVIDER=cpu"):
        load_engine(exports["naive"], settings)


def test_tensorrt_without_a_gpu_says_what_to_do(exports, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match=r"needs an NVIDIA GPU.*QUANTLAKE_ENGINE=onnx"):
        load_engine(exports["naive"], configured(tmp_path, "tensorrt"))


def test_a_tensorrt_cache_belongs_to_one_gpu_release_precision_and_file(tmp_path):
    base = ("NVIDIA H100", "10.9", "fp32", "ab" * 32)
    folders = {
        tensorrt.engine_folder(tmp_path, *base),
        tensorrt.engine_folder(tmp_path, "NVIDIA L4", *base[1:]),
        tensorrt.engine_folder(tmp_path, base[0], "11.0", *base[2:]),
        tensorrt.engine_folder(tmp_path, *base[:2], "fp16", base[3]),
        tensorrt.engine_folder(tmp_path, *base[:3], "cd" * 32),
    }
    assert len(folders) == 5


def test_a_built_engine_that_differs_from_the_processor_is_refused(exports):
    ridge, naive = OnnxEngine(exports["ridge"]), OnnxEngine(exports["naive"])
    assert tensorrt.compare_engines(ridge, OnnxEngine(exports["ridge"]), 1e-9) == 0
    with pytest.raises(EngineError, match="differs from the processor"):
        tensorrt.compare_engines(ridge, naive, 1e-4)


def test_the_tensorrt_profile_covers_every_batch_an_engine_asks_for(exports, tmp_path):
    options = tensorrt.provider_options(exports["lstm"], "fp16", tmp_path)
    channels = 2 * len(FORECAST_V2.features)
    assert options["trt_profile_min_shapes"] == f"window:1x30x{channels}"
    assert options["trt_profile_max_shapes"] == f"window:128x30x{channels}"
    assert options["trt_fp16_enable"] == "True"
