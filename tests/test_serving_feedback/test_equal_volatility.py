"""The pool at equal volatility: worked by hand, causal, paid for, and without a reward for exposure."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.ledger import TrialLedger
from lake.store import Lake
from serving.strategies import PaperReturns, at_equal_volatility
from serving.strategies.comparison import compare
from serving.strategies.equal_volatility import MOST_SCALE, STARTING_DEVIATION, scales
from serving.strategies.ratios import volatility_of
from serving.strategies.selection import SelectionRule

START = datetime(2010, 1, 4, 21, tzinfo=UTC)


def paper(net: np.ndarray, exposure: np.ndarray | float = 0.2, late_days: int = 0) -> PaperReturns:
    days = tuple(START + timedelta(days=day) for day in range(len(net) + 1))
    known = tuple(at + timedelta(days=late_days) for at in days[1:])
    names = tuple(f"s{number}" for number in range(net.shape[1]))
    regimes = ("calm",) * len(net)
    return PaperReturns(names, days[:-1], days[1:], known, regimes, net, np.broadcast_to(exposure, net.shape))


def market(sessions: int, seed: int = 0) -> np.ndarray:
    """A bull market: one unit of exposure gains 10 bp a session with a deviation of 1 %."""
    return 0.001 + 0.01 * np.random.default_rng(seed).standard_normal(sessions)


def test_the_first_scales_are_those_worked_by_hand() -> None:
    found = scales(paper(np.array([[0.02, 0.0], [0.0, 0.0]])))
    decay = 0.5 ** (1 / 20)
    before = decay * STARTING_DEVIATION**2
    ratio = np.sqrt((before + (1 - decay) * 0.01**2) / (before + (1 - decay) * 0.02**2))  # the pool earned 0.01
    np.testing.assert_allclose(found[0], [1.0, 1.0])
    np.testing.assert_allclose(found[1], [ratio, np.sqrt((before + (1 - decay) * 0.01**2) / before)])


def test_strategies_that_differ_by_exposure_alone_have_equal_volatility_and_return() -> None:
    share = np.array([1.0, 0.5, 0.25])
    net = market(600)[:, None] * share
    found = at_equal_volatility(paper(net, share))
    last = found.net[300:]
    yearly = [volatility_of(column) for column in last.T]
    assert yearly == pytest.approx([yearly[0]] * 3, rel=0.001)
    assert last.mean(axis=0) == pytest.approx([last[:, 0].mean()] * 3, abs=1e-6)
    assert np.ptp(net[300:].mean(axis=0)) > 5e-4, "before, exposure alone was rewarded"


def test_exposure_alone_is_no_longer_the_best_in_hindsight(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    market_alone = market(750, seed=2)
    skilled = 0.25 * (market_alone + 0.001 + 0.002 * rng.standard_normal(750))
    declared = paper(np.stack([market_alone, skilled], axis=1), np.array([1.0, 0.25]))
    rule, ledger = SelectionRule(draws=200), TrialLedger(Lake(tmp_path), declared.known[-1])
    compared = [
        compare(returns, returns.known[-1], rule, (), ledger=ledger)
        for returns in (declared, at_equal_volatility(declared))
    ]
    named = [next(str(row["name"]) for row in found.figures[3:]) for found in compared]
    assert named == ["best in hindsight (s0)", "best in hindsight (s1)"]


def test_cash_stays_cash() -> None:
    net = np.stack([market(200), np.zeros(200)], axis=1)
    found = at_equal_volatility(paper(net, np.array([1.0, 0.0])))
    assert (found.net[:, 1] == 0).all()
    assert (found.exposure[:, 1] == 0).all()


@given(st.integers(0, 50), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_no_strategy_is_held_beyond_its_equity_or_three_times_itself(seed: int, first: float, second: float) -> None:
    exposure = np.array([first, second])
    returns = paper(market(120, seed)[:, None] * exposure**2, exposure)
    assert (scales(returns) <= MOST_SCALE).all()
    assert (at_equal_volatility(returns).exposure <= 1 + 1e-12).all()


def test_a_change_of_scale_is_paid_for() -> None:
    returns = paper(market(50)[:, None] * [1.0, 0.25], np.array([1.0, 0.25]))
    free, paid = (at_equal_volatility(returns, cost_bps) for cost_bps in (0.0, 10.0))
    scale = scales(returns)
    np.testing.assert_array_equal(free.net[0], paid.net[0])
    moved = np.abs(scale[7] - scale[6]) * returns.exposure[6]
    np.testing.assert_allclose(free.net[7] - paid.net[7], 0.001 * moved, rtol=1e-9)


@pytest.mark.parametrize("late_days", [0, 3])
@given(cut=st.integers(1, 59))
def test_returns_that_were_not_known_yet_change_no_scale(late_days: int, cut: int) -> None:
    net = market(60)[:, None] * [1.0, 0.5, 0.1]
    whole = paper(net, late_days=late_days)
    changed = net.copy()
    unknown = [n for n, known in enumerate(whole.known) if known > whole.sessions[cut]]
    changed[unknown] = 0.5
    np.testing.assert_array_equal(scales(paper(changed, late_days=late_days))[: cut + 1], scales(whole)[: cut + 1])
    part = at_equal_volatility(PaperReturns(whole.strategies, *(column[:cut] for column in whole[1:])))
    full = at_equal_volatility(whole)
    np.testing.assert_array_equal(part.net, full.net[:cut])
    np.testing.assert_array_equal(part.exposure, full.exposure[:cut])
