"""Probability of back-test overfitting: how often the best of one half of history is below the median in the other."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lake.ledger.deflated import Gains

BLOCKS = 10
"""Blocks of sessions, in order of time; 252 ways to take half of them."""
FEWEST_OF_A_BLOCK = 2
TWINS = 200
"""Shuffled copies whose probabilities give the null band."""
BAND = (0.05, 0.95)
TOGETHER = 50
"""Twins that are computed in one go, which bounds the memory."""


class OverfittingEstimate(NamedTuple):
    """Probability of back-test overfitting beside what it is where there is nothing to choose.

    Parameters
    ----------
    probability
        Share of halves whose best strategy is below the median of the other half; about .5 on noise.
    low, high
        Null band: 5 and 95 % of the same number for twins in which no strategy is better than another.
    strategies, sessions
        What was compared.
    """

    probability: float
    low: float
    high: float
    strategies: int
    sessions: int


def overfitting(gains: Gains, seed: int = 0, twins: int = TWINS) -> OverfittingEstimate | None:
    """Estimate the probability that choosing the best of several strategies by their past is overfitting.

    Combinatorially symmetric cross-validation: Bailey, Borwein, López de Prado and Zhu (2017), *The Probability of
    Backtest Overfitting*, Journal of Computational Finance 20(4). Sessions are cut into `BLOCKS` blocks; for each
    half of them, the strategy with the highest Sharpe ratio is ranked in the other half. The median rank counts half.
    On noise the number is scattered widely around .5, so it stands beside a null band: the same number for twins whose
    strategies are shuffled within each session, which keeps what all of them share.

    Parameters
    ----------
    gains
        ``[session, strategy]``, in order of time, without nulls.
    seed
        Of the shuffles: the same gains give the same band.
    twins
        How many shuffled copies.

    Returns
    -------
    OverfittingEstimate or None
        None for fewer than two strategies, or than two sessions a block. The oldest sessions beyond a multiple of
        `BLOCKS` are left out.

    Examples
    --------
    >>> noise = np.random.default_rng(3).normal(size=(500, 8))
    >>> skilled = noise + np.array([0.3] + [0.0] * 7)
    >>> overfitting(skilled).probability, overfitting(skilled).low > 0
    (0.0, True)
    """
    sessions, strategies = gains.shape
    length = sessions // BLOCKS
    if strategies < 2 or length < FEWEST_OF_A_BLOCK:  # noqa: PLR2004 - a choice needs two
        return None
    used = gains[sessions - length * BLOCKS :]
    rng = np.random.default_rng([seed, *used.shape])
    nulls = np.concatenate([_probabilities(_shuffled(used, count, rng)) for count in _batches(twins)])
    low, high = np.quantile(nulls, BAND)
    (found,) = _probabilities(used[None])
    return OverfittingEstimate(float(found), float(low), float(high), strategies, len(used))


def _batches(twins: int) -> list[int]:
    return [min(TOGETHER, twins - done) for done in range(0, twins, TOGETHER)]


def _shuffled(gains: Gains, count: int, rng: np.random.Generator) -> Gains:
    """Return copies ``[twin, session, strategy]`` with the strategies exchanged at random within each session."""
    copies = np.broadcast_to(gains, (count, *gains.shape))
    return rng.permuted(copies, axis=2)


def _probabilities(gains: Gains) -> Gains:
    """Probability of back-test overfitting of each table ``[twin, session, strategy]``."""
    twins, sessions, strategies = gains.shape
    blocks = gains.reshape(twins, BLOCKS, sessions // BLOCKS, strategies)
    half = BLOCKS // 2 * (sessions // BLOCKS)
    inside = _ratios(_halves() @ blocks.sum(axis=2), _halves() @ (blocks**2).sum(axis=2), half)
    outside = inside[:, ::-1]  # the complement of the n-th half is the n-th from the end
    best = inside.argmax(axis=2)[..., None]  # [twin, half, 1]
    of_best = np.take_along_axis(outside, best, axis=2)
    below, equal = (outside < of_best).sum(axis=2), (outside == of_best).sum(axis=2)
    rank = below + (equal - 1) / 2  # 0 for the worst, strategies - 1 for the best
    middle = (strategies - 1) / 2
    shares: Gains = ((rank < middle) + 0.5 * (rank == middle)).mean(axis=1)
    return shares


def _ratios(sums: Gains, squares: Gains, count: int) -> Gains:
    """Sharpe ratios from sums of gains and of their squares; 0 for a strategy without a spread, such as cash."""
    mean = sums / count
    variance = squares / count - mean**2
    has_spread = variance > 1e-12 * squares / count
    return np.divide(mean, np.sqrt(np.maximum(variance, 0.0)), out=np.zeros_like(mean), where=has_spread)


def _halves() -> npt.NDArray[np.float64]:
    """Every choice of half of the blocks as a row of zeros and ones; the complement of a row is its mirror."""
    chosen = np.array(list(combinations(range(BLOCKS), BLOCKS // 2)))
    rows = np.zeros((len(chosen), BLOCKS))
    np.put_along_axis(rows, chosen, 1.0, axis=1)
    return rows
