"""The pool at equal volatility: what strategies are compared by, and what is held of each."""

import numpy as np

from serving.evidence import FloatArray
from serving.strategies.paper import PaperReturns
from serving.strategies.pool import COST_BPS

HALF_LIFE_SESSIONS = 20.0
"""Of the weights of past squared returns in a volatility."""
STARTING_DEVIATION = 0.005
"""Daily deviation of every strategy, and of the pool, before any return was known."""
LEAST_DEVIATION = 0.0005
"""Daily deviation below which a strategy counts as cash that moves a little, and is not scaled up further."""
MOST_SCALE = 3.0
"""Largest multiple of a strategy's own positions."""


def at_equal_volatility(returns: PaperReturns, cost_bps: float = COST_BPS) -> PaperReturns:
    """Scale every strategy to the volatility of the equally weighted pool, as it could have been held.

    At each close, a strategy's positions are multiplied by the pool's volatility over its own, at most `MOST_SCALE`,
    and not beyond an exposure of 1. Volatilities are exponentially weighted root mean squares (RiskMetrics 1996,
    section 5.2) of the net returns known at that close, so cutting off the future changes no scale. Cash stays cash.

    Parameters
    ----------
    returns
        Of the strategies as they are declared.
    cost_bps
        Per side, paid for the change of scale too: moving from ``c' p'`` to ``c p`` turns over at most
        ``c |p - p'| + |c - c'| |p'|``, and the first part is in the strategy's own cost.

    Returns
    -------
    PaperReturns
        The same sessions and strategies, with the scaled net returns and exposures.

    Examples
    --------
    A strategy and another that holds a quarter of it are the same strategy at equal volatility, in the long run:

    >>> from datetime import UTC, datetime, timedelta
    >>> days = tuple(datetime(2010, 1, 4, 21, tzinfo=UTC) + timedelta(days=day) for day in range(401))
    >>> market = np.random.default_rng(1).normal(0, 0.01, 400)
    >>> net, exposure = np.stack([market, market / 4], axis=1), np.tile([1.0, 0.25], (400, 1))
    >>> regimes = ("calm",) * 400
    >>> found = at_equal_volatility(PaperReturns(("a", "b"), days[:-1], days[1:], days[1:], regimes, net, exposure))
    >>> np.allclose(found.net[300:, 0], found.net[300:, 1], atol=1e-5)
    True
    """
    scale = scales(returns)
    before = np.vstack([np.zeros(scale.shape[1]), (np.abs(np.diff(scale, axis=0)) * returns.exposure[:-1])])
    return returns._replace(net=scale * returns.net - cost_bps / 1e4 * before, exposure=scale * returns.exposure)


def scales(returns: PaperReturns) -> FloatArray:
    """Multiple of each strategy's positions at each close ``[session, strategy]``, from returns known by then."""
    pool = returns.net.mean(axis=1, keepdims=True)
    deviation = _deviations(np.hstack([returns.net, pool]))[_known_at(returns)]  # [session, strategy and pool]
    scale = np.minimum(deviation[:, -1:] / np.maximum(deviation[:, :-1], LEAST_DEVIATION), MOST_SCALE)
    invested = returns.exposure > 0
    largest: FloatArray = np.divide(1.0, returns.exposure, out=np.full(scale.shape, np.inf), where=invested)
    return np.minimum(scale, largest)


def _known_at(returns: PaperReturns) -> list[int]:
    """Sessions, from the first one on, whose returns are known at each close."""
    counts, settled = [], 0
    for position, close in enumerate(returns.sessions):
        while settled < position and returns.known[settled] <= close:
            settled += 1
        counts.append(settled)
    return counts


def _deviations(net: FloatArray) -> FloatArray:
    """Deviation of each column after 0, 1, ... sessions ``[session + 1, column]``."""
    decay = 0.5 ** (1 / HALF_LIFE_SESSIONS)
    variances = np.empty((len(net) + 1, net.shape[1]))
    variances[0] = STARTING_DEVIATION**2
    for session, squares in enumerate(net**2):
        variances[session + 1] = decay * variances[session] + (1 - decay) * squares
    deviations: FloatArray = np.sqrt(variances)
    return deviations
