"""Shapley values of boosted trees, by their exported engine, against the interventional TreeExplainer of `shap`.

Both compare with the same four typical windows. Our values are sampled over permutations, so they are compared where
they are exact: one pair of opposite permutations where a tree reads two features at most, every permutation where the
trees read six. Pairs drawn among all features are compared within their standard errors. Both scales of the window are
held at one value, since a forecast is the trees' answer times the scale, which `shap` knows nothing of.
"""

import os
import warnings
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from feature_repo.targets import FORECAST_V2, SCALES, to_model_input
from serving.engines import TYPICAL_WINDOWS, Background, OnnxEngine
from serving.engines.export import export_model
from serving.explain import sampled_contributions
from serving.explain.players import Player, compose, players_of
from serving.explain.shapley import coalitions_of, gains_of, opposite_pairs, standard_errors
from training.models import InputSpec, OutputSpec, build_network, trees

Floats = NDArray[np.float64]
REGIME = "any"
HELD_SCALE = 0.25
READ = ("return_1d", "return_5d", "rsi_14", "volume_ratio_20d", "market_return", "volatility_20d")
FEATURES, COUNT = FORECAST_V2.features, len(FORECAST_V2.features)
CLOSE = 1e-5
"""Largest difference, in units of the scale: the engine adds leaves in float32."""


@pytest.fixture(scope="module")
def shap() -> Any:
    """The package; a machine without it skips with the reason, and fails where the suite is judged."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PendingDeprecationWarning)  # its colour maps, on import
            import shap
    except ImportError:
        reason = "shap, the outside answer of these tests, is not installed"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    return shap


@pytest.fixture(scope="module")
def windows(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Real windows with the scales held."""
    held = inputs.copy()
    for place in (FEATURES.index(name) for name in SCALES):
        held[:, :, place], held[:, :, COUNT + place] = HELD_SCALE, 1
    return held


@pytest.fixture(scope="module")
def typical(background: Background) -> Background:
    """The typical windows of the market with the scales held."""
    held = background.model_dump()
    for window in held["typical"][REGIME]:
        window["values"] = [
            [HELD_SCALE if name in SCALES else value for name, value in zip(FEATURES, row, strict=True)]
            for row in window["values"]
        ]
    return Background(**held)


def grow(windows: NDArray[np.float32], leaves: int, read: tuple[str, ...]) -> list[Any]:
    """LightGBM models of each horizon and quantile of a target with interactions; only columns of `read` vary."""
    places = [FEATURES.index(name) for name in read]
    rows = np.zeros((len(windows), 2 * COUNT), np.float32)
    rows[:, places] = windows[:, -1, places]
    ranks = rows[:, places].argsort(axis=0).argsort(axis=0) / len(rows) - 0.5
    signal = ranks[:, 0] + 4 * ranks[:, 1] * ranks[:, 2] + 8 * ranks[:, 3] * ranks[:, 4] * ranks[:, 5]
    target = signal + np.random.default_rng(4).standard_normal(len(rows))
    settings = {"num_leaves": leaves, "min_data_in_leaf": 20, "seed": 1, "learning_rate": 0.1}
    return [trees.grow(rows, target * way, level, 32, settings) for way in (1, -1) for level in OutputSpec().quantiles]


def engine_of(boosters: list[Any], windows: NDArray[np.float32], folder: Any) -> OnnxEngine:
    spec = InputSpec(FEATURES, FORECAST_V2.sessions)
    network = build_network("lightgbm", spec, OutputSpec())
    network.plant(trees.lay_out(boosters, 32))
    until = np.datetime64("2011-12-30T21:00:00").item().astimezone()
    return OnnxEngine(export_model(network.eval(), "lightgbm", FORECAST_V2, {}, windows, folder, train_until=until))


def last_rows(x: NDArray[np.float32]) -> Floats:
    """What the trees look at: ``[window, 2 * feature]``."""
    return x[:, -1].astype(np.float64)


def outside_answer(shap: Any, boosters: list[Any], background: Background, x: NDArray[np.float32]) -> Floats:
    """`shap`'s values of the medians, ``[window, feature, horizon]``; no tree reads a flag, so a value has it all."""
    other = last_rows(to_model_input(background.windows_of(REGIME)))
    found = []
    for booster in (boosters[1], boosters[4]):
        explainer = shap.TreeExplainer(booster, other, feature_perturbation="interventional")
        values = explainer.shap_values(last_rows(x))
        assert (values[:, COUNT:] == 0).all()
        found.append(values[:, :COUNT])
    return np.stack(found, axis=-1)


def in_scales(returns: Floats) -> Floats:
    """Returns over each horizon in units of the scale, as the trees answer."""
    scaled: Floats = returns / (HELD_SCALE * np.sqrt(np.array(OutputSpec().bars) / 252))
    return scaled


def walked(
    engine: OnnxEngine, background: Background, x: NDArray[np.float32], orders: list[NDArray[np.int64]], players: Any
) -> Floats:
    """Gains ``[typical window, order, player, horizon]`` of one window's medians."""
    typical = to_model_input(background.windows_of(REGIME))
    gains = []
    for other, order in zip(typical, orders, strict=True):
        coalitions, place = np.unique(coalitions_of(order), axis=0, return_inverse=True)
        quantiles = engine.predict(compose(x, other, coalitions, players)).astype(np.float64)
        gains.append(gains_of(order, in_scales(quantiles[..., 1])[place.ravel()]))
    return np.stack(gains)


def test_one_opposite_pair_is_exact_where_trees_read_two_features_at_most(
    shap: Any, windows: NDArray[np.float32], typical: Background, tmp_path: Any
) -> None:
    """The function of the importance tables, over all features, as it runs there."""
    boosters = grow(windows, 3, FEATURES)
    engine, asked = engine_of(boosters, windows, tmp_path / "trees"), windows[::100]
    found = in_scales(sampled_contributions(engine, typical, asked, [REGIME] * len(asked)))
    expected = outside_answer(shap, boosters, typical, asked)
    assert np.abs(found - expected).max() <= CLOSE
    assert (np.abs(expected).max(axis=(0, 2)) > 1e-3).sum() > 4, "several features contribute"


@pytest.fixture(scope="module")
def deep(windows: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Trees of eight leaves over six features: the models, and their engine."""
    boosters = grow(windows, 8, READ)
    return boosters, engine_of(boosters, windows, tmp_path_factory.mktemp("deep") / "trees")


def test_every_permutation_of_the_features_that_trees_read_is_exact(
    shap: Any, deep: Any, windows: NDArray[np.float32], typical: Background
) -> None:
    (boosters, engine), places = deep, [FEATURES.index(name) for name in READ]
    every = np.array(list(permutations(range(len(READ)))), np.int64)
    players = [Player(name, "", (FEATURES.index(name),)) for name in READ]
    for window in windows[::200]:
        found = walked(engine, typical, window, [every] * TYPICAL_WINDOWS, players).mean(axis=(0, 1))
        expected = outside_answer(shap, boosters, typical, window[None])[0]
        assert np.abs(found - expected[places]).max() <= CLOSE
        assert (np.delete(expected, places, axis=0) == 0).all()


def test_drawn_pairs_err_as_their_standard_errors_say(
    shap: Any, deep: Any, windows: NDArray[np.float32], typical: Background
) -> None:
    boosters, engine = deep
    random, scores = np.random.default_rng(8), []
    for window in windows[::200]:
        orders = [opposite_pairs(COUNT, 8, random) for _ in range(TYPICAL_WINDOWS)]
        gains = walked(engine, typical, window, orders, players_of(FEATURES, "feature"))
        errors = standard_errors(gains)
        distance = np.abs(gains.mean(axis=(0, 1)) - outside_answer(shap, boosters, typical, window[None])[0])
        is_sampled = errors >= CLOSE / 10
        assert distance[~is_sampled].max() <= CLOSE, "features without an interaction are exact"
        scores.append(distance[is_sampled] / errors[is_sampled])
    found = np.concatenate(scores)
    assert len(found) > 30
    # Errors of 8 pairs have heavy tails (98 % of a t of 7 degrees), and those of one window err together.
    assert (found <= 3).mean() >= 0.9
