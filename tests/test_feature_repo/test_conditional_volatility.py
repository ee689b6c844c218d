"""Expected volatility against answers from outside: `arch`, statsmodels and arithmetic done by hand."""

import math

import numpy as np
import polars as pl
import pytest

from feature_repo.catalog import CONDITIONAL_VOLATILITY, TECHNICAL
from feature_repo.compute import garch, har, volatility
from feature_repo.engines import compute_group
from lake.sources import tiny_market
from lake.universe import MARKET

SESSIONS, YEAR = 756, 252
"""Returns fitted on, and bars per year of the made-up market below."""


def simulated(count: int, *, seed: int = 3, persistence: float = 0.985, news: float = 0.07) -> np.ndarray:
    """Closes whose returns follow GJR-GARCH with Student's t, and no drift."""
    random = np.random.default_rng(seed)
    shocks = random.standard_t(6, count) / math.sqrt(6 / 4)
    fall, rise, kept = 2 * persistence * news * 0.7, persistence * news * 0.3, persistence * (1 - news)
    long_run = 0.018**2
    variance, returns = long_run, np.zeros(count)
    for t in range(count):
        returns[t] = math.sqrt(variance) * shocks[t]
        variance = (1 - persistence) * long_run + kept * variance
        variance += (rise + (fall if returns[t] < 0 else 0)) * returns[t] ** 2
    return 100 * np.cumprod(1 + returns)


def years(count: int) -> np.ndarray:
    return np.floor(np.arange(count) / YEAR) + 2001


def all_of(values: np.ndarray) -> np.ndarray:
    """Ask for the value of every bar."""
    return np.ones(values.size)


@pytest.fixture(scope="module")
def close() -> np.ndarray:
    return simulated(7 * YEAR)


@pytest.mark.parametrize("horizon", [1, 5])
def test_arch_filters_and_forecasts_the_same_variance(close: np.ndarray, horizon: int) -> None:
    """With the parameters of the last year, from the same start."""
    from arch.univariate import GARCH, StudentsT, ZeroMean  # takes seconds, and one worker alone runs this file

    ours = garch.garch_volatility(close, years(close.size), all_of(close), SESSIONS, horizon)
    begin = 6 * YEAR
    returns = np.diff(close, prepend=np.nan) / np.concatenate([[np.nan], close[:-1]])
    fitted_on = returns[begin - SESSIONS : begin]
    long_run = (fitted_on**2).mean()
    persistence, news, asymmetry, degrees = garch.gjr_parameters(fitted_on / math.sqrt(long_run))
    rise, fall = persistence * news * (1 - asymmetry), 2 * persistence * news * asymmetry
    values = np.array([(1 - persistence) * long_run, rise, fall, persistence * (1 - news), degrees])
    seen = 100 * returns[begin - SESSIONS :]
    model = ZeroMean(seen, volatility=GARCH(1, 1, 1), distribution=StudentsT(), rescale=False)
    values[0] *= 100**2
    result = model.fix(values)
    expected = result.forecast(horizon=horizon, start=SESSIONS + 20, align="origin").variance.dropna().mean(axis=1)
    theirs = np.sqrt(expected.to_numpy() * 252) / 100
    # arch starts its recursion elsewhere, which has faded after three years to a part of the persistence to that power.
    np.testing.assert_allclose(ours[begin + 20 :], theirs, rtol=2e-3 + persistence**SESSIONS)


def test_arch_gives_the_likelihood(close: np.ndarray) -> None:
    from arch.univariate import StudentsT

    returns = np.diff(close) / close[:-1]
    scaled = returns[:SESSIONS] / math.sqrt((returns[:SESSIONS] ** 2).mean())
    persistence, news, asymmetry, degrees = 0.98, 0.06, 0.7, 6.0
    rise, fall = persistence * news * (1 - asymmetry), 2 * persistence * news * asymmetry
    ours = garch.gjr_log_likelihoods(scaled, *(np.full(3, v) for v in (persistence, news, asymmetry, degrees)))[1]
    variances = np.empty(SESSIONS)
    variances[0] = 1
    for t in range(1, SESSIONS):
        square = scaled[t - 1] ** 2
        variances[t] = 1 - persistence + persistence * (1 - news) * variances[t - 1]
        variances[t] += (rise + (fall if scaled[t - 1] < 0 else 0)) * square
    theirs = StudentsT().loglikelihood(np.array([degrees]), scaled, variances)
    assert ours == pytest.approx(theirs, rel=1e-10)


@pytest.mark.parametrize(("persistence", "news"), [(0.97, 0.1), (0.993, 0.045)])
def test_three_years_move_the_prior_and_three_hundred_end_at_the_nearest_of_the_grid(
    persistence: float, news: float
) -> None:
    close = simulated(300 * YEAR, persistence=persistence, news=news)
    returns = np.diff(close) / close[:-1]
    few, many = (garch.gjr_parameters(part / math.sqrt((part**2).mean())) for part in (returns[:SESSIONS], returns))
    for found, planted, grid in zip(
        many, (persistence, news, 0.7), (garch.PERSISTENCE, garch.NEWS, garch.ASYMMETRY), strict=False
    ):
        assert found == pytest.approx(planted, abs=np.diff(grid).max() / 2)
    middle = garch.gjr_parameters(np.ones(2))[:2]
    assert (np.abs(few[:2] - middle) < np.abs(many[:2] - middle)).all()


def test_it_says_more_of_tomorrow_than_the_last_twenty_sessions_do(close: np.ndarray) -> None:
    returns = np.diff(close, append=np.nan) / close
    tomorrow = np.abs(returns)[2 * YEAR : -1]
    ours = garch.garch_volatility(close, years(close.size), all_of(close), SESSIONS, 1)[2 * YEAR : -1]
    last = volatility.annualised_volatility(close, 20)[2 * YEAR : -1]
    assert np.corrcoef(ours, tomorrow)[0, 1] > np.corrcoef(last, tomorrow)[0, 1] > 0


def test_no_later_bar_of_a_year_or_of_any_other_changes_a_value(close: np.ndarray) -> None:
    year = years(close.size)
    for function in (garch.garch_volatility, har.har_volatility):
        whole = function(close, year, all_of(close), SESSIONS, 5)
        for cut in (5 * YEAR + 1, 5 * YEAR + 100, 6 * YEAR - 1, 6 * YEAR):
            part = close[:cut]
            np.testing.assert_array_equal(function(part, year[:cut], all_of(part), SESSIONS, 5), whole[:cut])


@pytest.mark.parametrize("first", [5 * YEAR + 7, 6 * YEAR, 7 * YEAR - 1])
def test_what_is_asked_for_has_the_bits_that_it_has_among_all(close: np.ndarray, first: int) -> None:
    year, is_asked = years(close.size), all_of(close)
    is_asked[:first] = 0
    for function in (garch.garch_volatility, har.har_volatility):
        whole = function(close, year, all_of(close), SESSIONS, 5)
        np.testing.assert_array_equal(function(close, year, is_asked, SESSIONS, 5)[first:], whole[first:])


def test_parameters_change_with_the_year_and_only_then(close: np.ndarray) -> None:
    """A crash in December moves the next parameters; until then the recursion alone has seen it."""
    year, crash = years(close.size), close.copy()
    crash[6 * YEAR - 10 :] *= 0.7
    for function in (garch.garch_volatility, har.har_volatility):
        calm, shaken = (function(prices, year, all_of(prices), SESSIONS, 1) for prices in (close, crash))
        np.testing.assert_allclose(shaken[: 6 * YEAR - 10], calm[: 6 * YEAR - 10], rtol=1e-12)
        assert shaken[6 * YEAR - 10] > calm[6 * YEAR - 10]


def test_the_exponential_mean_is_that_of_the_textbook(close: np.ndarray) -> None:
    squares = (np.diff(close) / close[:-1]) ** 2
    level = squares[:20].mean()
    expected = [level]
    for square in squares[20:]:
        level = 0.94 * level + 0.06 * square
        expected.append(level)
    ours = volatility.ewma_volatility(close, 0.94)
    assert np.isnan(ours[:20]).all()
    np.testing.assert_allclose(ours[20:], np.sqrt(np.array(expected) * 252), rtol=1e-12)


@pytest.mark.parametrize("horizon", [1, 5])
def test_scikit_learn_fits_the_same_line(close: np.ndarray, horizon: int) -> None:
    """A ridge of differences from the mean, weighted, whose penalty is a part of each column's sum of squares."""
    from sklearn.linear_model import Ridge

    size = np.abs(np.diff(close, prepend=np.nan) / np.concatenate([[np.nan], close[:-1]]))
    terms = [pl.Series(size).rolling_mean(bars).to_numpy() for bars in (1, 5, 22, 66)]
    begin = 6 * YEAR
    until = begin - horizon
    first = until - SESSIONS
    x = np.stack(terms, axis=1)
    y = np.stack([size[first + step : until + step] for step in range(1, horizon + 1)]).mean(axis=0)
    seen = x[first:until]
    weights = 1 / (seen[:, 2] + seen[:, 2].mean() / 2) ** 2
    centred = seen - seen.mean(axis=0)
    spread = np.sqrt((weights[:, None] * centred**2).sum(axis=0))
    line = Ridge(alpha=har.SHRINKAGE, fit_intercept=False).fit(centred / spread, y - y.mean(), sample_weight=weights)
    forecast = y.mean() + (x[begin:] - seen.mean(axis=0)) / spread @ line.coef_
    expected = np.maximum(forecast, har.LEAST * y.mean()) * math.sqrt(math.pi / 2 * 252)
    ours = har.har_volatility(close, years(close.size), all_of(close), SESSIONS, horizon)
    np.testing.assert_allclose(ours[begin:], expected, rtol=1e-8)


def test_a_price_that_stands_still_is_expected_to() -> None:
    still = np.full(3 * YEAR, 50.0)
    assert np.isnan(garch.garch_volatility(still, years(still.size), all_of(still), SESSIONS, 1)).all()
    assert (har.har_volatility(still, years(still.size), all_of(still), SESSIONS, 1)[67:] == 0).all()
    assert (volatility.ewma_volatility(still, 0.94)[20:] == 0).all()


def test_a_young_symbol_has_a_scale_from_its_21st_bar(close: np.ndarray) -> None:
    for start in (0, 17, YEAR - 3):  # also where its first year ends within its first bars
        young = close[start : start + 60]
        ours = garch.garch_volatility(young, years(close.size)[start : start + 60], all_of(young), SESSIONS, 1)
        assert np.isnan(ours[:20]).all()
        assert np.isfinite(ours[20:]).all()


def test_a_history_cut_off_at_its_beginning_gives_the_same_last_row() -> None:
    bars = tiny_market(["AAA", MARKET], sessions=1_600, seed=5)
    whole = compute_group(bars, CONDITIONAL_VOLATILITY)
    for feature in CONDITIONAL_VOLATILITY:
        recent = bars.group_by("symbol", maintain_order=True).tail(feature.warm_up)
        cut = compute_group(recent, [feature])
        assert cut[feature.name][-1] == pytest.approx(whole[feature.name][-1], rel=1e-9)


def test_expected_volatility_stands_at_the_end_of_the_technical_features() -> None:
    """Tables that were made before have the columns before it in the same order."""
    assert TECHNICAL.features[-len(CONDITIONAL_VOLATILITY) :] == CONDITIONAL_VOLATILITY
