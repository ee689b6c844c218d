"""Shapley values by walks in permutations: each player's mean gain as the players join one after another.

Strumbelj and Kononenko 2014, "Explaining prediction models and individual predictions with feature contributions".
Permutations come with their opposites (Mitchell, Cooper, Frank and Holmes 2022, "Sampling permutations for Shapley
value estimation"), so that one pair is exact for a game in which players interact two by two at most. The gains of
every walk sum to the value with all players less the value with none, and so does their mean.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

EMPTY, FULL = 0, 1
"""Rows of `coalitions_of` with no player and with all of them, which every walk shares."""


def opposite_pairs(players: int, pairs: int, random: np.random.Generator) -> "NDArray[np.int64]":
    """Draw permutations of the players, each followed by its opposite: ``[2 * pairs, player]``.

    Examples
    --------
    >>> opposite_pairs(3, 1, np.random.default_rng(0)).tolist()
    [[2, 0, 1], [1, 0, 2]]
    """
    drawn = [random.permutation(players) for _ in range(pairs)]
    return np.array([order for one in drawn for order in (one, one[::-1])], np.int64)


def coalitions_of(orders: "NDArray[np.int64]") -> "NDArray[np.bool_]":
    """Return the coalitions that walks pass: none, all, then those of each walk in between.

    Parameters
    ----------
    orders
        ``[order, player]``, permutations.

    Returns
    -------
    NDArray[np.bool_]
        ``[2 + order * (player - 1), player]``.

    Examples
    --------
    >>> coalitions_of(np.array([[1, 0]])).astype(int).tolist()
    [[0, 0], [1, 1], [0, 1]]
    """
    count = orders.shape[1]
    ranks = np.argsort(orders, axis=1)  # [order, player]: the step in which a player joins
    steps = np.arange(1, count)
    between = ranks[:, None, :] < steps[None, :, None]  # [order, step, player]
    ends = np.array([[False] * count, [True] * count])
    return np.concatenate([ends, between.reshape(-1, count)])


def gains_of(orders: "NDArray[np.int64]", values: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return each player's gain in each walk.

    Parameters
    ----------
    values
        ``[coalition, output]``, in the order of `coalitions_of`.

    Returns
    -------
    NDArray[np.float64]
        ``[order, player, output]``; over the players of one walk they sum to ``values[FULL] - values[EMPTY]``.

    Examples
    --------
    >>> values = np.array([[1.0], [6.0], [3.0]])  # nobody, both, the second alone
    >>> gains_of(np.array([[1, 0]]), values)[0, :, 0].tolist()
    [3.0, 2.0]
    """
    walks, count = orders.shape
    between = values[2:].reshape(walks, count - 1, values.shape[-1])
    first, last = (np.broadcast_to(values[end], (walks, 1, values.shape[-1])) for end in (EMPTY, FULL))
    joined = np.diff(np.concatenate([first, between, last], axis=1), axis=1)  # [order, step, output]
    gains: NDArray[np.float64] = np.take_along_axis(joined, np.argsort(orders, axis=1)[:, :, None], axis=1)
    return gains


def standard_errors(gains: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Standard errors of the mean gains over the walks from all background windows.

    The windows are all there are, so only the sampled permutations count. With one pair per window the two walks of a
    pair are taken as independent; opposite walks err against each other, so that this is an upper bound.

    Parameters
    ----------
    gains
        ``[window, order, player, output]``, orders in opposite pairs.

    Returns
    -------
    NDArray[np.float64]
        ``[player, output]``.
    """
    windows, orders = gains.shape[:2]
    pairs = gains.reshape(windows, orders // 2, 2, *gains.shape[2:])
    if orders > 2:  # noqa: PLR2004 - more than one pair
        variance = pairs.mean(axis=2).var(axis=1, ddof=1) / (orders // 2)
    else:
        variance = (pairs[:, 0, 0] - pairs[:, 0, 1]) ** 2 / 4
    errors: NDArray[np.float64] = np.sqrt(variance.sum(axis=0)) / windows
    return errors
