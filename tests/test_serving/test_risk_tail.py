"""Value at risk and expected shortfall: against closed forms, and in simulated worlds whose truth is known."""

import numpy as np
import pytest
from scipy.stats import chi2, norm

from lake.errors import NotReadyError
from serving.risk import acerbi_szekely, christoffersen, filtered_scenarios, kupiec, tail_forecasts, tail_of
from serving.risk.tail import LEVELS, expected_volatility
from serving.risk.tail_tests import exceeded

P_VALUE = 0.05


def garch(seed: int, sessions: int, heavy: bool) -> np.ndarray:
    """Returns of a GARCH(1, 1) world with persistence .98, simulated by another library."""
    from arch.univariate import GARCH, Normal, StudentsT, ZeroMean

    model = ZeroMean(None)
    model.volatility = GARCH(1, 0, 1)
    chance = np.random.default_rng(seed)
    model.distribution = StudentsT(seed=chance) if heavy else Normal(seed=chance)
    parameters = [0.02, 0.08, 0.90, *([6.0] if heavy else [])]
    return model.simulate(parameters, sessions)["data"].to_numpy() / 100


def passed(worlds: range, sessions: int, draws: int) -> dict[tuple[str, float], float]:
    """Share of worlds in which each test finds nothing wrong."""
    found: dict[tuple[str, float], list[bool]] = {}
    for seed in worlds:
        returns = garch(seed, sessions, heavy=seed % 2 == 0)
        for level in LEVELS:
            made = tail_forecasts(returns, level)
            hits = exceeded(made)
            tests = {
                "kupiec": kupiec(hits, level),
                "christoffersen": christoffersen(hits, level),
                "acerbi": acerbi_szekely(made, level, draws=draws),
            }
            for name, test in tests.items():
                found.setdefault((name, level), []).append(test.p_value > P_VALUE)
    return {key: float(np.mean(values)) for key, values in found.items()}


def test_normal_surprises_give_the_closed_form():
    surprises = norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    for level in LEVELS:
        found = tail_of(surprises, level)
        assert found.value_at_risk == pytest.approx(norm.ppf(level), abs=1e-3)
        assert found.expected_shortfall == pytest.approx(norm.pdf(norm.ppf(level)) / (1 - level), abs=1e-3)


def test_scenarios_stand_on_the_volatility_of_now():
    returns = np.random.default_rng(1).normal(0, 0.01, 600)
    volatility = expected_volatility(returns)
    calm = filtered_scenarios(returns, volatility)
    volatility[-1] *= 2
    assert filtered_scenarios(returns, volatility) == pytest.approx(2 * calm)
    with pytest.raises(NotReadyError, match="250 sessions"):
        filtered_scenarios(returns[:100], expected_volatility(returns[:100]))


def test_no_figure_sees_its_own_session_or_a_later_one():
    returns = garch(1, 700, heavy=True)
    before = tail_forecasts(returns, 0.99)
    changed = returns.copy()
    changed[-3:] = -0.5
    after = tail_forecasts(changed, 0.99)
    assert np.array_equal(before.value_at_risk[:-2], after.value_at_risk[:-2])
    assert after.value_at_risk[-1] > before.value_at_risk[-1]


def test_the_likelihood_ratios_are_those_computed_by_hand():
    hits = np.zeros(250, bool)
    hits[[10, 11, 12, 100, 180]] = True
    ratio = -2 * (5 * np.log(0.01 / 0.02) + 245 * np.log(0.99 / 0.98))
    found = kupiec(hits, 0.99)
    assert (found.statistic, found.p_value) == pytest.approx((ratio, chi2.sf(ratio, 1)))
    # After a hit 2 of 5 hit; after a calm session 3 of 244.
    apart = 2 * np.log(2 / 5) + 3 * np.log(3 / 5) + 3 * np.log(3 / 244) + 241 * np.log(241 / 244)
    together = 5 * np.log(5 / 249) + 244 * np.log(244 / 249)
    assert christoffersen(hits, 0.99).statistic == pytest.approx(ratio + 2 * (apart - together))
    assert christoffersen(hits, 0.99).p_value < P_VALUE


def test_a_figure_that_is_half_of_the_truth_is_found_out():
    made = tail_forecasts(garch(3, 1_540, heavy=True), 0.99)
    names = ("value_at_risk", "expected_shortfall", "volatility")
    halved = made._replace(**{name: getattr(made, name) / 2 for name in names})
    assert kupiec(exceeded(halved), 0.99).p_value < 1e-6
    assert acerbi_szekely(halved, 0.99, draws=300).p_value < 0.01


def test_without_the_filter_exceedances_cluster():
    scale = np.where(np.arange(6_040) // 50 % 2, 0.02, 0.005)  # half of the time four times as volatile
    returns = np.random.default_rng(5).normal(size=scale.size) * scale
    plain = tail_forecasts(returns, 0.95, volatility=np.full(returns.size + 1, 0.01))
    assert christoffersen(exceeded(plain), 0.95).p_value < 1e-3
    known = tail_forecasts(returns, 0.95, volatility=np.append(scale, scale[-1]))
    assert christoffersen(exceeded(known), 0.95).p_value > P_VALUE


def test_the_figures_hold_in_simulated_worlds():
    found = passed(range(16), 1_540, draws=200)
    assert min(found.values()) >= 0.8, found


@pytest.mark.slow
def test_the_figures_hold_in_nearly_every_simulated_world():
    found = passed(range(1_000, 1_400), 1_540, draws=500)
    assert min(found.values()) >= 0.95, found


def test_losses_reach_the_value_at_risk_as_often_as_it_says():
    """Of surprises that are alike, whatever their law: the sixth worst of 500 would be reached in 1.2 %, not in 1 %."""
    returns = np.random.default_rng(5).standard_t(4, 100_501) / 100
    calm = np.full(returns.size + 1, 0.01)
    for level in LEVELS:
        reached = exceeded(tail_forecasts(returns, level, volatility=calm)).mean()
        assert reached == pytest.approx(1 - level, rel=0.05)
