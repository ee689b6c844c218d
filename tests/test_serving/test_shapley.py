"""Shapley values of made-up games whose values are known, and the parts of the surrogate."""

from collections.abc import Callable
from itertools import permutations
from math import factorial

import numpy as np
import pytest
from numpy.typing import NDArray

from serving.explain.players import compose, players_of
from serving.explain.shapley import EMPTY, FULL, coalitions_of, gains_of, opposite_pairs, standard_errors
from serving.explain.surrogate import FAITHFUL_R2, fidelity_of, fit_line

PLAYERS = 6
Floats = NDArray[np.float64]
Game = Callable[[NDArray[np.bool_]], Floats]


def game(seed: int) -> Game:
    """A game with every interaction there is, drawn at random; two outputs."""
    worth = np.random.default_rng(seed).normal(size=(2**PLAYERS, 2))
    return lambda coalitions: worth[coalitions @ (1 << np.arange(PLAYERS))]


def every_order() -> NDArray[np.int64]:
    return np.array(list(permutations(range(PLAYERS))), np.int64)


def walked(play: Game, orders: NDArray[np.int64]) -> Floats:
    return gains_of(orders, play(coalitions_of(orders)))


def test_each_walk_sums_to_the_difference_of_its_ends() -> None:
    play, orders = game(1), opposite_pairs(PLAYERS, 8, np.random.default_rng(2))
    values = play(coalitions_of(orders))
    sums = gains_of(orders, values).sum(axis=1)
    assert np.abs(sums - (values[FULL] - values[EMPTY])).max() < 1e-12


def test_all_orders_give_the_values_of_the_definition() -> None:
    play = game(3)
    found = walked(play, every_order()).mean(axis=0)
    expected = np.zeros((PLAYERS, 2))
    everyone = (np.arange(2**PLAYERS)[:, None] >> np.arange(PLAYERS)) % 2 > 0
    for player in range(PLAYERS):
        without = everyone[~everyone[:, player]]
        joined = without.copy()
        joined[:, player] = True
        weights = [_weight(int(size)) for size in without.sum(axis=1)]
        expected[player] = np.array(weights) @ (play(joined) - play(without))
    assert np.abs(found - expected).max() < 1e-12


def _weight(size: int) -> float:
    """Share of the orders in which just these players come before the next one (Shapley 1953)."""
    return factorial(size) * factorial(PLAYERS - size - 1) / factorial(PLAYERS)


def test_sixteen_pairs_err_as_their_standard_errors_say() -> None:
    random, scores = np.random.default_rng(9), []
    for seed in range(40):
        play = game(seed)
        exact = walked(play, every_order()).mean(axis=0)
        gains = walked(play, opposite_pairs(PLAYERS, 16, random))[None]
        scores.append((gains.mean(axis=(0, 1)) - exact) / standard_errors(gains))
    found = np.abs(np.concatenate(scores))
    assert (found <= 3).mean() >= 0.97
    assert 0.8 <= np.sqrt((found**2).mean()) <= 1.3, "neither too small nor too large"


def test_one_pair_is_exact_where_players_interact_two_by_two() -> None:
    random = np.random.default_rng(4)
    alone, together = random.normal(size=PLAYERS), random.normal(size=(PLAYERS, PLAYERS))

    def play(coalitions: NDArray[np.bool_]) -> Floats:
        present = coalitions.astype(float)
        return (present @ alone + ((present @ together) * present).sum(axis=1))[:, None]

    exact = walked(play, every_order()).mean(axis=0)
    found = walked(play, opposite_pairs(PLAYERS, 1, random)).mean(axis=0)
    assert np.abs(found - exact).max() < 1e-12


def test_a_player_that_changes_nothing_gets_nothing() -> None:
    play = game(5)
    found = walked(lambda each: play(each & (np.arange(PLAYERS) != 2)), opposite_pairs(PLAYERS, 4, _random()))
    assert (found[:, 2] == 0).all()
    assert (found[:, 3] != 0).any()


def test_players_that_are_the_same_to_the_game_get_the_same() -> None:
    play = game(6)

    def alike(coalitions: NDArray[np.bool_]) -> Floats:
        swapped = coalitions[:, [1, 0, 2, 3, 4, 5]]
        return play(coalitions) + play(swapped)

    found = walked(alike, every_order()).mean(axis=0)
    assert np.abs(found[0] - found[1]).max() < 1e-12
    assert np.abs(found[0] - found[2]).max() > 1e-3


def test_swapped_players_swap_their_values() -> None:
    play, orders = game(7), opposite_pairs(PLAYERS, 4, _random())
    swap = np.array([1, 0, 2, 3, 4, 5])
    found = walked(play, orders)
    other = walked(lambda each: play(each[:, swap]), swap[orders])
    assert np.abs(found[:, swap] - other).max() < 1e-12


def test_an_additive_game_has_no_standard_error_and_a_rough_one_has() -> None:
    worth = np.arange(PLAYERS, dtype=float)
    for pairs in (1, 4):
        orders = opposite_pairs(PLAYERS, pairs, _random())
        additive = walked(lambda each: (each @ worth)[:, None], orders)[None]
        assert standard_errors(additive).max() < 1e-12
        assert standard_errors(walked(game(8), orders)[None]).min() > 0


def test_orders_come_with_their_opposites_and_follow_the_seed() -> None:
    orders = opposite_pairs(PLAYERS, 3, _random())
    assert (orders[0::2] == orders[1::2, ::-1]).all()
    assert (orders == opposite_pairs(PLAYERS, 3, _random())).all()
    assert (np.sort(orders, axis=1) == np.arange(PLAYERS)).all()


def test_one_player_alone_takes_everything() -> None:
    orders = opposite_pairs(1, 1, _random())
    found = gains_of(orders, np.array([[1.0], [4.0]]))
    assert found.ravel().tolist() == [3.0, 3.0]


def test_a_present_player_brings_value_and_mask_over_all_sessions() -> None:
    players = players_of(("return_1d", "return_5d", "volatility_20d"), "group")
    x, background = np.ones((2, 6), np.float32), np.zeros((2, 6), np.float32)
    rows = compose(x, background, np.array([[True, False], [False, True]]), players)
    assert rows[0].tolist() == [[1, 1, 0, 1, 1, 0]] * 2
    assert rows[1].tolist() == [[0, 0, 1, 0, 0, 1]] * 2


def test_a_player_of_a_block_brings_its_sessions_alone() -> None:
    players = players_of(("return_1d",), "session_block")
    x, background = np.ones((8, 2), np.float32), np.zeros((8, 2), np.float32)
    rows = compose(x, background, np.eye(3, dtype=bool), players)
    last, five_before, earlier = rows[:, :, 0].astype(int).tolist()
    assert last == [0] * 7 + [1]
    assert five_before == [0, 0] + [1] * 5 + [0]
    assert earlier == [1, 1] + [0] * 6
    assert (rows[:, :, 0] == rows[:, :, 1]).all(), "the flag comes with its value"


def test_blocks_of_a_feature_sum_to_its_own_value_where_a_model_is_linear_in_all_sessions() -> None:
    """In a window of ten sessions, and in one that is too short to have earlier ones."""
    random, names = _random(), ("return_1d", "return_5d", "volatility_20d")
    for sessions in (10, 4):
        slopes, x, background = random.normal(size=(3, sessions, 6)).astype(np.float32)
        found = {}
        for grain in ("feature", "session_block"):
            players = players_of(names, grain)
            orders = opposite_pairs(len(players), 2, random)
            inputs = compose(x, background, coalitions_of(orders), players).astype(np.float64)
            gains = gains_of(orders, (inputs * slopes).sum(axis=(1, 2))[:, None])
            found[grain] = gains.mean(axis=0)[:, 0]
        summed = found["session_block"].reshape(len(names), 3).sum(axis=1)
        assert np.abs(summed - found["feature"]).max() < 1e-9
        assert (found["session_block"].reshape(3, 3)[:, 2] == 0).all() == (sessions == 4)


def test_a_line_is_met_exactly_and_a_curve_is_called_unfaithful() -> None:
    random = _random()
    coalitions = random.random((200, PLAYERS)) < 0.5
    weights = random.random(200) + 0.1
    slopes = random.normal(size=(PLAYERS, 1))
    straight = 0.3 + coalitions @ slopes
    base, found = fit_line(coalitions, straight, weights)
    assert abs(base[0] - 0.3) < 1e-6
    assert np.abs(found - slopes).max() < 1e-6
    assert fidelity_of(base + coalitions @ found, straight, weights)[0] == pytest.approx(1, abs=1e-9)
    curved = (coalitions.sum(axis=1) % 2).astype(float)[:, None]
    base, found = fit_line(coalitions, curved, weights)
    assert fidelity_of(base + coalitions @ found, curved, weights)[0] < FAITHFUL_R2


def _random() -> np.random.Generator:
    return np.random.default_rng(0)
