"""Moments of portfolios against the paper of He and Litterman, scikit-learn, skfolio and closed forms."""

import numpy as np
import pytest

from serving.portfolio import (
    PosteriorReturns,
    black_litterman_posterior,
    equilibrium_returns,
    shrunk_covariance,
    shrunk_means,
    unconstrained_weights,
)
from serving.portfolio.moments import factor_covariance
from support.portfolios import CAPITALISATION, COUNTRIES, COVARIANCE, drawn_returns

DELTA, TAU = 2.5, 0.05
GERMANY_OVER_EUROPE = np.array([[0, 0, -0.295, 1, 0, -0.705, 0]])
"""As the paper prints it: against France and the United Kingdom by their capitalisation."""


def of_paper() -> PosteriorReturns:
    prior = equilibrium_returns(COVARIANCE, CAPITALISATION, DELTA)
    uncertainty = np.diag(TAU * GERMANY_OVER_EUROPE @ COVARIANCE @ GERMANY_OVER_EUROPE.T)
    return black_litterman_posterior(prior, COVARIANCE, GERMANY_OVER_EUROPE, np.array([0.05]), uncertainty, TAU)


def in_percent(values: np.ndarray) -> list[float]:
    return (100 * values).round(1).tolist()


def test_equilibrium_and_posterior_are_those_of_he_and_litterman() -> None:
    assert in_percent(equilibrium_returns(COVARIANCE, CAPITALISATION, DELTA)) == [3.9, 6.9, 8.4, 9.0, 4.3, 6.8, 7.6]
    assert in_percent(of_paper().means) == [4.3, 7.6, 9.3, 11.0, 4.5, 7.0, 8.1]


def test_weights_follow_from_the_covariance_with_the_uncertainty_of_the_means_and_no_other() -> None:
    posterior = of_paper()
    assert in_percent(unconstrained_weights(posterior, DELTA)) == [1.5, 2.1, -3.9, 35.4, 11.0, -9.5, 58.6]
    without = dict(
        zip(
            COUNTRIES,
            in_percent(unconstrained_weights(PosteriorReturns(posterior.means, COVARIANCE), DELTA)),
            strict=True,
        )
    )
    assert (without["USA"], without["UK"]) == (61.5, -8.8), "the mistake that the paper warns of"


def test_the_posterior_is_that_of_skfolio() -> None:
    import pandas as pd
    from skfolio.moments import EquilibriumMu
    from skfolio.prior import BlackLitterman, EmpiricalPrior

    returns = pd.DataFrame(drawn_returns(4, 300), columns=["a", "b", "c", "d"])
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    prior = EmpiricalPrior(mu_estimator=EquilibriumMu(risk_aversion=DELTA, weights=weights))
    theirs = BlackLitterman(["a = 0.002", "b - c = 0.001"], prior_estimator=prior, tau=TAU).fit(returns)
    covariance = np.cov(returns.to_numpy().T)
    picks = np.array([[1.0, 0, 0, 0], [0, 1, -1, 0]])
    ours = black_litterman_posterior(
        equilibrium_returns(covariance, weights, DELTA),
        covariance,
        picks,
        np.array([0.002, 0.001]),
        np.diag(TAU * picks @ covariance @ picks.T),
        TAU,
    )
    np.testing.assert_allclose(ours.means, theirs.return_distribution_.mu, rtol=1e-10)
    np.testing.assert_allclose(ours.covariance, theirs.return_distribution_.covariance, rtol=1e-10)


def test_without_a_view_the_equilibrium_stays() -> None:
    prior = equilibrium_returns(COVARIANCE, CAPITALISATION, DELTA)
    none = black_litterman_posterior(prior, COVARIANCE, np.zeros((0, 7)), np.zeros(0), np.zeros(0), TAU)
    np.testing.assert_allclose(none.means, prior)
    np.testing.assert_allclose(none.covariance, (1 + TAU) * COVARIANCE)
    np.testing.assert_allclose(unconstrained_weights(none, DELTA) * (1 + TAU), CAPITALISATION)


@pytest.mark.parametrize(("symbols", "bars"), [(5, 250), (20, 30), (3, 5)])
def test_the_shrunk_covariance_is_that_of_scikit_learn(symbols: int, bars: int) -> None:
    from sklearn.covariance import LedoitWolf

    returns = drawn_returns(symbols, bars)
    np.testing.assert_allclose(shrunk_covariance(returns), LedoitWolf().fit(returns).covariance_, rtol=1e-10)


def test_the_covariance_by_one_factor_is_that_of_skfolio() -> None:
    import pandas as pd
    from skfolio.prior import LoadingMatrixRegression, TimeSeriesFactorModel
    from sklearn.linear_model import LinearRegression

    returns = pd.DataFrame(drawn_returns(4, 120), columns=["a", "b", "c", "d"])
    factor = returns.mean(axis=1).to_frame("index")
    loadings = LoadingMatrixRegression(linear_regressor=LinearRegression())
    theirs = TimeSeriesFactorModel(loading_matrix_estimator=loadings).fit(returns, factors=factor)
    ours = factor_covariance(returns.to_numpy(), factor.to_numpy()[:, 0])
    np.testing.assert_allclose(ours, theirs.return_distribution_.covariance, rtol=1e-9)


def test_means_are_shrunk_all_the_way_unless_they_stand_out() -> None:
    noise = drawn_returns(6, 250)
    covariance = shrunk_covariance(noise)
    strong = noise + 0.02
    kept = shrunk_means(strong, covariance) / strong.mean(axis=0)
    assert np.ptp(kept) < 1e-12
    assert 0 < kept[0] < 1
    assert not shrunk_means(noise - noise.mean(axis=0), covariance).any()
