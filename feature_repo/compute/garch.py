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
def gjr_log_likelihood(scaled: Bars, persistence: float, news: float, asymmetry: float, degrees: float) -> Bars:
    """Return the log-likelihood, as an array of one, of returns whose mean square is one.

    Each return is Student's t with the conditional variance of the recursion, which starts at one.
    """
    after = gjr_variance(scaled, 1.0, persistence, news, asymmetry)
    log_variance, log_tail, variances, tails = 0.0, 0.0, 1.0, 1.0
    for t in range(scaled.size):
        variance = after[t - 1] if t > 0 else 1.0
        variances *= variance
        tails *= 1 + scaled[t] ** 2 / (variance * (degrees - 2))
        if t % AT_ONCE == AT_ONCE - 1 or t == scaled.size - 1:
            log_variance += math.log(variances)
            log_tail += math.log(tails)
            variances, tails = 1.0, 1.0
    scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(math.pi * (degrees - 2))
    return np.full(1, scaled.size * scale - 0.5 * log_variance - (degrees + 1) / 2 * log_tail)


@kernel
def gjr_parameters(scaled: Bars) -> Bars:
    """Return persistence, news, asymmetry and degrees of freedom: posterior means given returns of mean square one.

    The persistence is averaged as the logarithm of its distance from one, the news as its logarithm.
    """
    weights = np.empty(DEGREES.size)
    for i in range(DEGREES.size):
        weights[i] = gjr_log_likelihood(scaled, TYPICAL[0], TYPICAL[1], TYPICAL[2], DEGREES[i])[0]
    weights = np.exp(weights - weights.max())
    degrees = (weights * DEGREES).sum() / weights.sum()
    posterior = np.empty((PERSISTENCE.size, NEWS.size, ASYMMETRY.size))
    for i in range(PERSISTENCE.size):
        for j in range(NEWS.size):
            for k in range(ASYMMETRY.size):
                fit = gjr_log_likelihood(scaled, PERSISTENCE[i], NEWS[j], ASYMMETRY[k], degrees)[0]
                prior = PERSISTENCE_PRIOR[i] * NEWS_PRIOR[j] * ASYMMETRY_PRIOR[k]
                posterior[i, j, k] = TEMPERING * fit + math.log(prior)
    posterior = np.exp(posterior - posterior.max())
    total = posterior.sum()
    gap, news, asymmetry = 0.0, 0.0, 0.0
    for i in range(PERSISTENCE.size):
        for j in range(NEWS.size):
            for k in range(ASYMMETRY.size):
                weight = posterior[i, j, k] / total
                gap += weight * math.log(1 - PERSISTENCE[i])
                news += weight * math.log(NEWS[j])
                asymmetry += weight * ASYMMETRY[k]
    return np.array([1 - math.exp(gap), math.exp(news), asymmetry, degrees])


@kernel
def garch_volatility(close: Bars, year: Bars, sessions: int, horizon: int) -> Bars:
    """Return the volatility, per year, that GJR-GARCH expects over the next `horizon` bars, from bar 21 on.

    The parameters of a calendar year are fitted on the `sessions` returns before its first bar, fewer where the symbol
    is younger; those of a symbol's first year on its first 20 returns, which leaves them near the prior. The variance
    is filtered from the first fitted return on, starting at the long-run variance.
    """
    returns = simple_return(close, 1)
    out = np.full(close.size, np.nan)
    begin = SEED_SESSIONS
    while begin < close.size:
        end = begin + 1
        while end < close.size and year[end] == year[end - 1]:
            end += 1
        first, until = max(1, begin - sessions), max(begin, SEED_SESSIONS + 1)
        long_run = (returns[first:until] ** 2).mean()
        if long_run > 0:
            fitted = gjr_parameters(returns[first:until] / math.sqrt(long_run))
            persistence = fitted[0]
            after = gjr_variance(returns[first:end], long_run, persistence, fitted[1], fitted[2])
            fading = (1 - persistence**horizon) / (horizon * (1 - persistence))
            for t in range(begin, end):
                expected = long_run + (after[t - first] - long_run) * fading
                out[t] = math.sqrt(expected * SESSIONS_PER_YEAR)
        begin = end
    return out
