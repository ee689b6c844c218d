"""Moments that weights are made from: shrunk covariance and means, equilibrium, and the Black-Litterman posterior."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from serving.evidence import FloatArray


@dataclass(frozen=True)
class PosteriorReturns:
    """Expected returns and covariance after views.

    Parameters
    ----------
    means
        ``[symbol]``: expected excess returns.
    covariance
        ``[symbol, symbol]``: of the returns, the uncertainty of their means included.
    """

    means: "FloatArray"
    covariance: "FloatArray"


def shrunk_covariance(returns: "FloatArray") -> "FloatArray":
    """Covariance shrunk to a multiple of the identity by the intensity that is best in mean square.

    ``(1 - d) S + d m I`` with the sample covariance ``S`` about the means, ``m`` its mean variance, and ``d`` of Ledoit
    and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", J. Multivariate Analysis
    88(2). It is positive definite wherever some return varies.

    Parameters
    ----------
    returns
        ``[bar, symbol]``, finite, at least two bars.

    Returns
    -------
    FloatArray
        ``[symbol, symbol]``, per bar.

    Examples
    --------
    >>> returns = np.random.default_rng(1).normal(size=(40, 3))
    >>> bool(np.linalg.eigvalsh(shrunk_covariance(returns)).min() > 0)
    True
    """
    centred = returns - returns.mean(axis=0)
    count, symbols = centred.shape
    sample = centred.T @ centred / count
    mean_variance = np.trace(sample) / symbols
    squared = centred**2
    distance = (sample**2).sum() - symbols * mean_variance**2
    noise = ((squared.T @ squared).sum() / count - (sample**2).sum()) / count
    part = 1.0 if distance <= 0 else float(np.clip(noise / distance, 0.0, 1.0))
    shrunk: FloatArray = (1.0 - part) * sample + part * mean_variance * np.eye(symbols)
    return shrunk


def factor_covariance(returns: "FloatArray", factor: "FloatArray") -> "FloatArray":
    """Covariance by one factor: ``b b' var(f)`` and the variances of what the factor leaves of each symbol.

    ``b`` by least squares with an intercept (Sharpe 1963, "A simplified model for portfolio analysis").

    Parameters
    ----------
    returns
        ``[bar, symbol]``.
    factor
        ``[bar]``: returns of the market's index, which vary.

    Examples
    --------
    >>> factor = np.array([0.01, -0.02, 0.03, -0.01])
    >>> factor_covariance(np.outer(factor, [1.0, 2.0]), factor).round(6).tolist()
    [[0.000492, 0.000983], [0.000983, 0.001967]]
    """
    centred, moves = returns - returns.mean(axis=0), factor - factor.mean()
    loadings = centred.T @ moves / (moves @ moves)
    left = centred - np.outer(moves, loadings)
    variances = np.diag(left.var(axis=0, ddof=1))
    found: FloatArray = np.outer(loadings, loadings) * moves.var(ddof=1) + variances
    return found


def shrunk_means(returns: "FloatArray", covariance: "FloatArray") -> "FloatArray":
    """Mean returns shrunk to zero, as far as they can be told from it: mostly all the way.

    Positive-part James-Stein towards zero in the metric of the covariance: ``max(0, 1 - (k - 2) / (T m' S^-1 m)) m``
    for k symbols and T bars (James and Stein 1961, "Estimation with quadratic loss"; Jorion 1986, "Bayes-Stein
    estimation for portfolio analysis"). For fewer than three symbols no such estimator gains, and they are zero.

    Examples
    --------
    >>> noise = np.random.default_rng(1).normal(size=(250, 5))
    >>> shrunk_means(noise - noise.mean(axis=0) + 0.01, np.eye(5)).tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    count, symbols = returns.shape
    means = returns.mean(axis=0)
    distance = count * float(means @ np.linalg.solve(covariance, means))
    kept = 0.0 if symbols < 3 or distance <= 0 else max(0.0, 1.0 - (symbols - 2) / distance)  # noqa: PLR2004 - James-Stein
    shrunk: FloatArray = kept * means
    return shrunk


def equilibrium_returns(covariance: "FloatArray", weights: "FloatArray", risk_aversion: float) -> "FloatArray":
    """Expected excess returns at which these weights are the best for a mean-variance investor: ``delta Sigma w``.

    Examples
    --------
    >>> equilibrium_returns(np.diag([0.04, 0.01]), np.array([0.5, 0.5]), 2.0).round(6).tolist()
    [0.04, 0.01]
    """
    implied: FloatArray = risk_aversion * covariance @ weights
    return implied


def black_litterman_posterior(
    prior: "FloatArray",
    covariance: "FloatArray",
    picks: "FloatArray",
    views: "FloatArray",
    uncertainty: "FloatArray",
    tau: float,
) -> PosteriorReturns:
    """Combine equilibrium returns with views of known uncertainty.

    ``mu = Pi + tau Sigma P' (tau P Sigma P' + Omega)^-1 (Q - P Pi)``, and the covariance of returns is ``Sigma + M``,
    where ``M = tau Sigma - tau Sigma P' (tau P Sigma P' + Omega)^-1 P tau Sigma`` is that of the means (He and
    Litterman 1999, "The intuition behind Black-Litterman model portfolios", appendix B). No view leaves ``Pi`` and
    ``(1 + tau) Sigma``.

    Parameters
    ----------
    prior
        ``Pi``, ``[symbol]``.
    covariance
        ``Sigma``, ``[symbol, symbol]``, over the same time as the views.
    picks, views, uncertainty
        ``P [view, symbol]``, ``Q [view]``, and the variances on the diagonal of ``Omega``, ``[view]``.
    tau
        Uncertainty of the equilibrium as a part of the covariance of returns.

    Examples
    --------
    A certain view is taken over whole; the other symbol follows by its covariance:

    >>> sigma = np.array([[0.04, 0.02], [0.02, 0.04]])
    >>> said = black_litterman_posterior(np.zeros(2), sigma, np.array([[1.0, 0.0]]), np.array([0.1]), np.zeros(1), 0.05)
    >>> said.means.round(6).tolist()
    [0.1, 0.05]
    """
    spread = tau * covariance @ picks.T  # [symbol, view]
    seen = picks @ spread + np.diag(uncertainty)
    means = prior + spread @ np.linalg.solve(seen, views - picks @ prior)
    return PosteriorReturns(means, (1.0 + tau) * covariance - spread @ np.linalg.solve(seen, spread.T))


def unconstrained_weights(posterior: PosteriorReturns, risk_aversion: float) -> "FloatArray":
    """Weights of a mean-variance investor without limits: ``(delta Sigma)^-1 mu`` with the posterior covariance.

    Examples
    --------
    >>> unconstrained_weights(PosteriorReturns(np.array([0.04, 0.01]), np.diag([0.04, 0.01])), 2.0).round(6).tolist()
    [0.5, 0.5]
    """
    weights: FloatArray = np.asarray(np.linalg.solve(risk_aversion * posterior.covariance, posterior.means), np.float64)
    return weights


def risk_shares(weights: "FloatArray", covariance: "FloatArray") -> "FloatArray":
    """Share of each symbol in the variance of a portfolio: ``w_i (Sigma w)_i / w' Sigma w``; they sum to one.

    Examples
    --------
    >>> risk_shares(np.array([0.5, 0.5]), np.diag([0.03, 0.01])).round(6).tolist()
    [0.75, 0.25]
    """
    parts = weights * (covariance @ weights)
    total = parts.sum()
    return np.asarray(parts / total if total > 0 else np.full(len(weights), np.nan), np.float64)
