"""Conditional volatility by GJR-GARCH(1,1) with Student's t: parameters refitted each year, filtered forward.

The variance of the next return follows from the last one and its square,
``s_{t+1} = (1 - p) v + (a + g [r_t < 0]) r_t^2 + (p - a - g / 2) s_t``, with the long-run variance ``v`` and the
persistence ``p = a + b + g / 2`` (L. R. Glosten, R. Jagannathan and D. E. Runkle, *On the Relation between the Expected
Value and the Volatility of the Nominal Excess Return on Stocks*, Journal of Finance 48, 1993). ``v`` is the mean square
of the returns that are fitted on (variance targeting; R. Engle and J. Mezrich, *GARCH for Groups*, 1996).

The parameters are posterior means over a grid (L. Bauwens and M. Lubrano, *Bayesian inference on GARCH models using the
Gibbs sampler*, Econometrics Journal 1, 1998) with a tempered likelihood: three years of one symbol say little about
each of them, and no optimiser ends elsewhere for a last digit. Grid, prior and tempering were chosen by forecasts of
2004 to 2008.
"""

import math

import numpy as np

from feature_repo.compute.fitted import fitted_kernel
from feature_repo.compute.kernel import Bars, kernel
from feature_repo.compute.returns import simple_return
from feature_repo.compute.volatility import SESSIONS_PER_YEAR

SEED_SESSIONS = 20
"""Returns until the first value: as many as `volatility_20d` needs."""
TEMPERING = 0.1
"""Power of the likelihood in the posterior."""
PERSISTENCE = np.array([0.95, 0.975, 0.985, 0.99, 0.995, 0.998])
PERSISTENCE_PRIOR = np.array([1.0, 3.0, 8.0, 10.0, 8.0, 2.0])
NEWS = np.array([0.02, 0.04, 0.06, 0.09, 0.13])
"""Share of the persistence that the newest square carries: ``(a + g / 2) / p``."""
NEWS_PRIOR = np.array([1.0, 5.0, 8.0, 4.0, 1.0])
ASYMMETRY = np.array([0.3, 0.6, 0.9])
"""Share of the news that only falls carry: ``g / (2 a + g)``."""
ASYMMETRY_PRIOR = np.array([1.0, 3.0, 3.0])
GRID = np.stack([axis.ravel() for axis in np.meshgrid(PERSISTENCE, NEWS, ASYMMETRY, indexing="ij")])
"""Sets of parameters ``[persistence / news / asymmetry, set]``, the asymmetry changing fastest."""
PRIOR = np.einsum("i,j,k->ijk", PERSISTENCE_PRIOR, NEWS_PRIOR, ASYMMETRY_PRIOR).ravel()
DEGREES = np.array([3.5, 5.0, 8.0, 14.0])
"""Degrees of freedom of Student's t; chosen first, at the middle of the other grids."""
TYPICAL = (0.99, 0.06, 0.73)
AT_ONCE = 8
"""Sessions whose densities are multiplied before a logarithm is taken."""


@kernel
def gjr_variance(returns: Bars, long_run: float, persistence: float, news: float, asymmetry: float) -> Bars:
    """Return the variance expected after each return, starting at the long-run variance before the first."""
    fall = 2 * persistence * news * asymmetry
    rise, kept = persistence * news * (1 - asymmetry), persistence * (1 - news)
    out, variance = np.empty(returns.size), long_run
    for t in range(returns.size):
        variance = (1 - persistence) * long_run + kept * variance
        variance += (rise + (fall if returns[t] < 0 else 0.0)) * returns[t] ** 2
        out[t] = variance
    return out


@kernel
def gjr_log_likelihoods(scaled: Bars, persistence: Bars, news: Bars, asymmetry: Bars, degrees: Bars) -> Bars:
    """Return the log-likelihood of returns whose mean square is one, for each of some sets of parameters.

    Each return is Student's t with the conditional variance of the recursion, which starts at one. The sets advance
    together, return by return, so that the processor computes several at once.
    """
    fall, rise = 2 * persistence * news * asymmetry, persistence * news * (1 - asymmetry)
    kept, spread = persistence * (1 - news), degrees - 2
    log_variance, log_tail = np.zeros(persistence.size), np.zeros(persistence.size)
    variance, variances, tails = np.ones(persistence.size), np.ones(persistence.size), np.ones(persistence.size)
    for t in range(scaled.size):
        square, falls = scaled[t] ** 2, 1.0 if scaled[t] < 0 else 0.0
        for i in range(persistence.size):
            variances[i] *= variance[i]
            tails[i] *= 1 + square / (variance[i] * spread[i])
            variance[i] = (1 - persistence[i]) + kept[i] * variance[i] + (rise[i] + fall[i] * falls) * square
        if t % AT_ONCE == AT_ONCE - 1 or t == scaled.size - 1:
            for i in range(persistence.size):
                log_variance[i] += math.log(variances[i])
                log_tail[i] += math.log(tails[i])
                variances[i], tails[i] = 1.0, 1.0
    out = np.empty(persistence.size)
    for i in range(persistence.size):
        half = degrees[i] / 2
        scale = math.lgamma((degrees[i] + 1) / 2) - math.lgamma(half) - 0.5 * math.log(math.pi * spread[i])
        out[i] = scaled.size * scale - 0.5 * log_variance[i] - (degrees[i] + 1) / 2 * log_tail[i]
    return out


@kernel
def gjr_parameters(scaled: Bars) -> Bars:
    """Return persistence, news, asymmetry and degrees of freedom: posterior means given returns of mean square one.

    The persistence is averaged as the logarithm of its distance from one, the news as its logarithm.
    """
    same = np.ones(DEGREES.size)
    fits = gjr_log_likelihoods(scaled, TYPICAL[0] * same, TYPICAL[1] * same, TYPICAL[2] * same, DEGREES.copy())
    weights = np.exp(fits - fits.max())
    degrees = (weights * DEGREES).sum() / weights.sum()
    same = np.ones(PRIOR.size)
    fits = gjr_log_likelihoods(scaled, GRID[0].copy(), GRID[1].copy(), GRID[2].copy(), degrees * same)
    posterior = np.empty(fits.size)
    for i in range(fits.size):
        posterior[i] = TEMPERING * fits[i] + math.log(PRIOR[i])
    posterior = np.exp(posterior - posterior.max())
    total = posterior.sum()
    gap, news, asymmetry = 0.0, 0.0, 0.0
    for i in range(fits.size):
        weight = posterior[i] / total
        gap += weight * math.log(1 - GRID[0, i])
        news += weight * math.log(GRID[1, i])
        asymmetry += weight * GRID[2, i]
    return np.array([1 - math.exp(gap), math.exp(news), asymmetry, degrees])


@kernel
def garch_fit(close: Bars) -> Bars:
    """Return what a year's forecasts follow from: long-run variance, persistence, news and asymmetry.

    Parameters
    ----------
    close
        Closes whose returns are fitted on. NaN four times where none of these returns differs from zero.
    """
    returns = simple_return(close, 1)[1:]
    long_run = (returns**2).mean()
    if not long_run > 0:
        return np.full(4, np.nan)
    fitted = gjr_parameters(returns / math.sqrt(long_run))
    return np.array([long_run, fitted[0], fitted[1], fitted[2]])


@kernel
def garch_expected(close: Bars, fit: Bars, asked: int, horizon: int) -> Bars:
    """Return the volatility, per year, that a fit expects over the next `horizon` bars, for the last `asked` bars.

    The variance is filtered over all closes, the first of which is the first that was fitted on.
    """
    out = np.full(asked, np.nan)
    long_run, persistence = fit[0], fit[1]
    if long_run > 0:
        after = gjr_variance(simple_return(close, 1)[1:], long_run, persistence, fit[2], fit[3])
        fading = (1 - persistence**horizon) / (horizon * (1 - persistence))
        for t in range(asked):
            expected = long_run + (after[after.size - asked + t] - long_run) * fading
            out[t] = math.sqrt(expected * SESSIONS_PER_YEAR)
    return out


@fitted_kernel(fit=garch_fit, expected=garch_expected, seed=SEED_SESSIONS)
def garch_volatility(close: Bars, year: Bars, is_asked: Bars, sessions: int, horizon: int) -> Bars:
    """Return the volatility, per year, that GJR-GARCH expects over the next `horizon` bars, from bar 21 on.

    The parameters of a calendar year are fitted on the `sessions` returns before its first bar, fewer where the symbol
    is younger; those of a symbol's first year on its first 20 returns, which leaves them near the prior. The variance
    is filtered from the first fitted return on, starting at the long-run variance. A year of which no bar is asked for
    is not fitted.
    """
    out = np.full(close.size, np.nan)
    begin = SEED_SESSIONS
    while begin < close.size:
        end = begin + 1
        while end < close.size and year[end] == year[end - 1]:
            end += 1
        first, until = max(0, begin - sessions - 1), max(begin, SEED_SESSIONS + 1)
        if is_asked[begin:end].any():
            fit = garch_fit(close[first:until])
            out[begin:end] = garch_expected(close[first:end], fit, end - begin, horizon)
        begin = end
    return out
