import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lake.errors import ModelError
from training.data import fit_scaler
from training.models import InputSpec, OutputSpec, build_network, trees

INPUTS = InputSpec(
    ("return_1d", "volatility_20d", "volume_ratio_20d", "rsi_14"), sessions=4, scales=("volatility_20d",)
)
OUTPUTS = OutputSpec()
SETTINGS = {"num_leaves": 8, "min_data_in_leaf": 20, "seed": 1, "learning_rate": 0.1}
ROUNDS = 12


@pytest.fixture(scope="module")
def market():
    x, random = INPUTS.example(3000, seed=2), np.random.default_rng(6)
    sigma = x[:, -1, 1:2] * np.sqrt(np.array(OUTPUTS.horizons) / 252)
    signal = np.where(x[:, -1, :1] > 0.3, 0.5, -0.2)
    return x, ((signal + random.standard_normal((3000, 2))) * sigma).astype(np.float32)


@pytest.fixture(scope="module")
def grown(market):
    """One booster per horizon and quantile, and the rows they saw."""
    x, y = market
    rows = np.concatenate([x[:, -1, :4], x[:, -1, 4:]], axis=-1)
    z = y / (x[:, -1, 1:2].astype(np.float64) * np.sqrt(np.array(OUTPUTS.horizons) / 252))
    boosters = [trees.grow(rows, z[:, h], level, ROUNDS, SETTINGS) for h in range(2) for level in OUTPUTS.quantiles]
    return boosters, rows


def as_windows(rows: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.repeat(rows[:, None], INPUTS.sessions, axis=1).astype(np.float32))


def outside_answer(boosters, rows) -> np.ndarray:
    answers = np.stack([booster.predict(rows.astype(np.float64)) for booster in boosters], axis=-1)
    return np.sort(answers.reshape(-1, 2, 3), axis=-1)


def rows_at_the_thresholds(boosters) -> np.ndarray:
    """Rows whose value is the float32 nearest to each threshold, and its neighbours: where a rounding error shows."""
    found = []

    def visit(node):
        if "leaf_value" not in node:
            nearest, column = np.float32(node["threshold"]), node["split_feature"]
            for value in (np.nextafter(nearest, np.float32(-9)), nearest, np.nextafter(nearest, np.float32(9))):
                if column < 4:  # a flag is 0 or 1 and never near its threshold
                    row = np.array([0.5] * 4 + [1] * 4, np.float32)
                    row[column] = value
                    found.append(row)
            visit(node["left_child"])
            visit(node["right_child"])

    for booster in boosters:
        for tree in booster.dump_model()["tree_info"]:
            visit(tree["tree_structure"])
    return np.array(found)


def network_of(boosters):
    network = build_network("lightgbm", INPUTS, OUTPUTS)
    network.plant(trees.lay_out(boosters, ROUNDS))
    return network


def test_the_module_walks_to_the_same_leaves_as_lightgbm(grown):
    boosters, rows = grown
    for inputs in (rows, rows_at_the_thresholds(boosters)):
        found = network_of(boosters).standardised(as_windows(inputs)).numpy()
        np.testing.assert_allclose(found, outside_answer(boosters, inputs), atol=1e-6)


def test_rounding_the_thresholds_up_is_caught(grown, monkeypatch):
    def round_up(threshold):
        nearest = threshold.astype(np.float32)
        return np.where(nearest < threshold, np.nextafter(nearest, np.float32(np.inf)), nearest)

    boosters, _ = grown
    monkeypatch.setattr(trees, "round_down", round_up)
    inputs = rows_at_the_thresholds(boosters)
    found = network_of(boosters).standardised(as_windows(inputs)).numpy()
    assert np.abs(found - outside_answer(boosters, inputs)).max() > 1e-3


@given(arrays.arrays(np.float64, 20, elements=st.floats(-1e30, 1e30)), st.floats(-(2.0**99), 2.0**99, width=32))
def test_rounding_down_keeps_every_comparison_with_a_float32(bounds, value):
    x = np.float32(value)
    rounded = trees.round_down(bounds)
    np.testing.assert_array_equal(x <= rounded, float(x) <= bounds)
    for near in (rounded, np.nextafter(rounded, np.float32(np.inf))):
        np.testing.assert_array_equal(near <= rounded, near.astype(np.float64) <= bounds)


def test_fitting_finds_the_step_and_keeps_quantiles_in_order(market):
    x, y = market
    network = build_network("lightgbm", INPUTS, OUTPUTS, fit_scaler(x))
    trees.fit_trees(network, x, y, rounds=40, rows_per_leaf=50)
    z = network.standardised(torch.from_numpy(x)).numpy()
    assert (np.diff(z, axis=-1) >= 0).all()
    step = x[:, -1, 0] > 0.3
    assert z[step, 0, 1].mean() - z[~step, 0, 1].mean() > 0.4
    quantiles = network(torch.from_numpy(x)).numpy()
    assert ((quantiles[..., 0] <= y) & (y <= quantiles[..., 2])).mean() == pytest.approx(0.8, abs=0.03)


def test_the_same_seed_grows_the_same_trees_and_another_seed_others(market):
    x, y = market
    first, again, other = (
        trees.fit_trees(build_network("lightgbm", INPUTS, OUTPUTS), x, y, rounds=5, seed=seed).state_dict()
        for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["value"].shape != other["value"].shape or not torch.equal(first["value"], other["value"])


def test_a_state_is_loaded_into_a_module_of_the_same_architecture(grown):
    boosters, rows = grown
    network = network_of(boosters)
    twin = build_network("lightgbm", INPUTS, OUTPUTS, **network.architecture())
    twin.load_state_dict(network.state_dict())
    assert torch.equal(twin(as_windows(rows)), network(as_windows(rows)))


def test_boosters_that_stop_early_are_filled_up_with_trees_of_zero(grown):
    boosters, rows = grown
    network = build_network("lightgbm", INPUTS, OUTPUTS)
    network.plant(trees.lay_out(boosters, ROUNDS + 3))
    assert network.architecture()["rounds"] == ROUNDS + 3
    np.testing.assert_allclose(
        network.standardised(as_windows(rows)).numpy(), outside_answer(boosters, rows), atol=1e-6
    )


def test_a_constant_target_grows_trees_that_are_one_leaf():
    x = INPUTS.example(500)
    y = np.zeros((500, 2), np.float32)
    network = trees.fit_trees(build_network("lightgbm", INPUTS, OUTPUTS), x, y, rounds=3)
    assert network.architecture()["depth"] == 0
    assert (network(torch.from_numpy(x)) == 0).all()


def test_categorical_splits_are_refused():
    class Booster:
        def dump_model(self):
            split = {"decision_type": "==", "split_feature": 0, "threshold": "1||2"}
            return {"tree_info": [{"tree_structure": split}]}

    with pytest.raises(ModelError, match="without categorical features"):
        trees.lay_out([Booster()], 1)
