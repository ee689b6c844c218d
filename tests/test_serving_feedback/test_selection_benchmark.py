"""The pools of the benchmark are what they are called, and the whole selection proves nothing in them."""

import numpy as np
import pytest

from benchmarks.selection import KINDS, POOL, SESSIONS, measure_pools, pool_without_gain
from serving.strategies import SelectionRule, select

SELLER = "insurance seller, 40% once in 250"


@pytest.mark.parametrize("name", KINDS)
def test_no_strategy_of_a_pool_gains_over_the_others(name: str) -> None:
    excess = [
        returns.net - returns.net.mean(axis=1, keepdims=True)
        for returns in (pool_without_gain(name, POOL, seed) for seed in range(12))
    ]
    means = np.concatenate([each.mean(axis=0) for each in excess])
    assert abs(means.mean()) < 1e-12
    assert abs(means).max() < 5 * np.concatenate(excess).std() / np.sqrt(SESSIONS) * 2


def test_one_seller_stands_beside_noise() -> None:
    net = pool_without_gain(SELLER, 1, seed=3).net
    falls = net - np.median(net, axis=1, keepdims=True) < -0.2
    assert falls[:, 0].any()
    assert not falls[:, 1:].any()


@pytest.mark.parametrize("sellers", [1, POOL])
def test_the_whole_selection_follows_no_insurance_seller(sellers: int) -> None:
    rule = SelectionRule(draws=500)
    left = 0
    for seed in range(10):
        returns = pool_without_gain(SELLER, sellers, seed)
        found = select(returns, returns.known[-1], rule, ())
        left += any(decision.selected != "equal_weight" for decision in found.decisions)
    assert left == 0


@pytest.mark.slow
def test_the_table_has_a_row_for_each_pool() -> None:
    topic = measure_pools(2)
    assert len(topic.rows) == len(KINDS) + sum("insurance" in name for name in KINDS)
    assert all(len(row) == len(topic.header) for row in topic.rows)
