"""One battery for all models: the contract that serving relies on, whichever model it serves."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from feature_repo.catalog import CONDITIONAL_VOLATILITY
from lake.errors import ConfigError, UnknownNameError
from training.data import fit_scaler
from training.models import MODELS, AtOnce, InputSpec, OutputSpec, build_network, card_of

NAMES = ("return_1d", "volatility_20d", "volume_ratio_20d", *(feature.name for feature in CONDITIONAL_VOLATILITY))
INPUTS = InputSpec(NAMES, sessions=6)
OUTPUTS = OutputSpec()
QUICK = {"lightgbm": {"rounds": 20, "rows_per_leaf": 50}}
"""Parameters that make a model small; each model is fitted as its card says."""

pytestmark = [
    # torch.export warns of its own calls to its own deprecated functions.
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:_check_is_size:FutureWarning"),
    # Its shape tracing reads .grad of the tensors it makes for a loop that it then exports as one LSTM node.
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"),
    # nn.LSTM keeps a list of its weights beside them; the weights themselves are exported.
    pytest.mark.filterwarnings("ignore:The tensor attributes .*_flat_weights:UserWarning"),
]


def fitted(name: str, seed: int = 3):
    x, random = INPUTS.example(1500, seed=8), np.random.default_rng(9)
    y = (x[:, -1, 1:2] * 0.06 * random.standard_normal((1500, 2))).astype(np.float32)
    network, card = build_network(name, INPUTS, OUTPUTS, fit_scaler(x), seed=seed), card_of(name)
    if isinstance(card.fit, AtOnce):
        network = card.fitted_at_once(network, x, y, card.parameters().model_dump() | QUICK.get(name, {}), seed)
    return network.eval()


@pytest.fixture(scope="module", params=MODELS)
def network(request):
    return fitted(request.param)


@pytest.fixture(scope="module")
def windows():
    return INPUTS.example(512, seed=10)


@torch.no_grad()
def answers(network, windows) -> np.ndarray:
    return network(torch.from_numpy(windows)).numpy()


def test_quantiles_of_each_horizon_ascend(network, windows):
    found = answers(network, windows)
    assert found.shape == (512, 2, 3)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=-1) >= 0).all()


def test_what_lies_under_a_closed_flag_is_not_seen(network, windows):
    hidden = windows.copy()
    hidden[..., : len(NAMES)][windows[..., len(NAMES) :] == 0] = 1e3
    np.testing.assert_allclose(answers(network, hidden), answers(network, windows), rtol=1e-5, atol=1e-8)


def test_a_window_without_a_scale_answers_nan(network, windows):
    blind = windows[:2].copy()
    place = INPUTS.scale_indices[0]
    blind[1, -1, [place, len(NAMES) + place]] = 0
    found = answers(network, blind)
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[1, 0]).all()


def test_the_module_is_built_again_from_its_sizes_and_its_state(network, windows):
    name = next(name for name in MODELS if isinstance(network, type(build_network(name, INPUTS, OUTPUTS))))
    twin = build_network(name, INPUTS, OUTPUTS, **network.architecture()).eval()
    twin.load_state_dict(network.state_dict())
    np.testing.assert_array_equal(answers(twin, windows), answers(network, windows))


def test_exported_to_one_file_it_computes_the_same_at_every_batch_size(network, windows, tmp_path):
    path = tmp_path / "model.onnx"
    torch.onnx.export(
        network,
        (torch.from_numpy(windows[:4]),),
        path,
        dynamo=True,
        external_data=False,
        verbose=False,
        input_names=["window"],
        output_names=["quantiles"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(path, full_check=True)
    assert "Loop" not in {node.op_type for node in onnx.load(path).graph.node}  # each LSTM is one node
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = answers(network, windows[:256])
    for batch in (1, 7, 128):
        parts = [
            session.run(None, {"window": windows[start : min(start + batch, 256)]})[0] for start in range(0, 256, batch)
        ]
        np.testing.assert_allclose(np.concatenate(parts), expected, rtol=0, atol=1e-5)
        # One window must not answer differently for the company it came in.
        np.testing.assert_allclose(np.concatenate(parts), session.run(None, {"window": windows[:256]})[0], atol=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_draws_the_same_weights_and_leaves_the_caller_alone(name):
    torch.manual_seed(1)
    undisturbed = torch.rand(3)
    torch.manual_seed(1)
    first, again = fitted(name).state_dict(), fitted(name).state_dict()
    assert torch.equal(torch.rand(3), undisturbed)
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("name", ["lstm", "tft"])
def test_another_seed_draws_other_weights(name):
    first, other = fitted(name, seed=1).state_dict(), fitted(name, seed=2).state_dict()
    assert not all(torch.equal(first[key], other[key]) for key in first)


def test_an_unknown_model_is_named_with_its_nearest():
    with pytest.raises(UnknownNameError, match=r"no model 'lgbm'.*lightgbm"):
        build_network("lgbm", INPUTS, OUTPUTS)


def test_specs_refuse_what_no_model_could_use():
    with pytest.raises(ConfigError, match="at least 1"):
        InputSpec(("volatility_20d",), sessions=0, scales=("volatility_20d",))
    with pytest.raises(ConfigError, match="named twice"):
        InputSpec(("volatility_20d", "volatility_20d"), sessions=5, scales=("volatility_20d",))
    with pytest.raises(ConfigError, match="has no 'volatility_20d'"):
        InputSpec(("return_1d",), sessions=5, scales=("volatility_20d",))
    with pytest.raises(ConfigError, match="ascending"):
        OutputSpec(horizons=(5, 1))
    with pytest.raises(ConfigError, match=r"\(low, 0.5, high\)"):
        OutputSpec(quantiles=(0.1, 0.4, 0.9))
