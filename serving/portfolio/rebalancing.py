"""When targets are made anew, and which trades are worth their cost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from serving.evidence import FloatArray
    from serving.portfolio.declaration import RebalancingRule

LEAST_WEIGHT = 0.01
"""Weight after a review from which on its drift counts as a share of itself; below it, only in points."""
LEAST_TRADE = 1e-12
"""Fraction of equity below which a difference is rounding."""
STEPS = 200
"""Halvings of the interval of the budget's price; more than the bits of a number need."""


@dataclass(frozen=True)
class NoTradeBand:
    """Weights between which no trade of a symbol is worth its cost, ``[symbol]`` each."""

    low: "FloatArray"
    high: "FloatArray"


@dataclass(frozen=True)
class RebalancingTrades:
    """Weights after the trades that are worth their cost.

    Parameters
    ----------
    weights
        ``[symbol]``, summing to one.
    band
        Where no trade pays.
    cost
        Of the trades, as a fraction of equity.
    gain
        Utility that they are expected to gain until the next review, before cost, as a fraction of equity.
    """

    weights: "FloatArray"
    band: NoTradeBand
    cost: float
    gain: float


def trigger_of(
    rule: "RebalancingRule",
    reviewed: "FloatArray",
    drifted: "FloatArray",
    bars_since_review: int,
    volatility: float | None,
    review_volatility: float | None,
) -> str | None:
    """Return why targets are to be made anew: ``calendar``, ``threshold`` or ``volatility``; None where they are not.

    Parameters
    ----------
    reviewed, drifted
        ``[symbol]``: weights after the last review, and now.
    volatility, review_volatility
        Of what is held, now and at the last review; None where it is not known.

    Examples
    --------
    >>> from serving.portfolio.declaration import RebalancingRule
    >>> half = np.array([0.5, 0.5])
    >>> trigger_of(RebalancingRule(), half, np.array([0.56, 0.44]), 3, None, None)
    'threshold'
    >>> trigger_of(RebalancingRule(), half, half, 3, 0.19, 0.15)
    'volatility'
    """
    if bars_since_review >= rule.review_bars:
        return "calendar"
    moved = np.abs(drifted - reviewed)
    is_far = (moved > rule.drift_points) | ((reviewed >= LEAST_WEIGHT) & (moved > rule.drift_share * reviewed))
    if is_far.any():
        return "threshold"
    if volatility and review_volatility and abs(volatility / review_volatility - 1.0) > rule.volatility_share:
        return "volatility"
    return None


def trades_worth_their_cost(
    targets: "FloatArray",
    held: "FloatArray",
    covariance: "FloatArray",
    risk_aversion: float,
    bars: int,
    cost: float,
    fixed: "np.ndarray | None" = None,
) -> RebalancingTrades:
    """Trade each symbol only as far as its expected gain until the next review exceeds its cost.

    The investor for whom the targets are best loses ``a_i / 2 (w_i - t_i)^2`` of utility by the next review for a
    weight away from its target, ``a_i = delta n var_i``: risk aversion times bars until then times the variance of the
    symbol's return less the portfolio's, which is what moving money between the two risks. Correlations among these
    differences are left out. Of that loss and the cost ``c |trade|`` the least is

        w_i = the nearest to the held weight in [m_i - c / a_i, m_i + c / a_i],  m_i = t_i + l / a_i

    where ``l`` is the same for all and makes the weights sum to one. Inside the interval no trade pays, so it is the
    no-trade band, and what is traded stops at its edge (Davis and Norman 1990, "Portfolio selection with transaction
    costs"). The gain of a trade is above its cost, because each part of it is.

    Parameters
    ----------
    targets, held
        ``[symbol]``: both sum to one.
    covariance
        ``[symbol, symbol]``, per bar.
    bars
        Until the next review by the calendar.
    cost
        ``c``, one way, as a fraction of the value traded.
    fixed
        ``[symbol]``: what cannot be traded now.

    Examples
    --------
    >>> sigma = np.eye(2) * 0.01
    >>> small = trades_worth_their_cost(np.array([0.5, 0.5]), np.array([0.52, 0.48]), sigma, 2.5, 20, 0.01)
    >>> small.weights.tolist(), small.cost
    ([0.52, 0.48], 0.0)
    >>> large = trades_worth_their_cost(np.array([0.5, 0.5]), np.array([0.9, 0.1]), sigma, 2.5, 20, 0.01)
    >>> large.weights.round(4).tolist()
    [0.54, 0.46]
    """
    tradable = np.ones(len(held), bool) if fixed is None else ~fixed
    curvature = _curvature(targets, covariance, risk_aversion * bars)
    width = np.where(curvature > 0, cost / np.where(curvature > 0, curvature, 1.0), np.inf if cost > 0 else 0.0)
    free = 1.0 - held[~tradable].sum()
    price = _budget_price(targets, held, curvature, width, tradable, free)
    middle = targets + np.where(curvature > 0, price / np.where(curvature > 0, curvature, 1.0), 0.0)
    low, high = np.maximum(middle - width, 0.0), np.maximum(middle + width, 0.0)
    wanted = np.where(tradable, np.clip(held, low, high), held)
    moved = np.where(np.abs(wanted - held) < LEAST_TRADE, held, wanted)
    weights = _exactly(moved, held, tradable, free)
    trades = np.abs(weights - held)
    gain = 0.5 * curvature * ((held - middle) ** 2 - (weights - middle) ** 2)
    return RebalancingTrades(
        weights, NoTradeBand(low, np.minimum(high, 1.0)), float(cost * trades.sum()), float(gain[trades > 0].sum())
    )


def _curvature(targets: "FloatArray", covariance: "FloatArray", aversion: float) -> "FloatArray":
    """``a_i``: what a squared distance from the target costs, from the variance of each return less the portfolio's."""
    beside = covariance @ targets
    against = np.diag(covariance) - 2.0 * beside + targets @ beside
    found: FloatArray = aversion * np.maximum(against, 0.0)
    return found


def _budget_price(
    targets: "FloatArray",
    held: "FloatArray",
    curvature: "FloatArray",
    width: "FloatArray",
    tradable: "np.ndarray",
    free: float,
) -> float:
    """``l`` at which the weights sum to what is free: by halving, because the sum only rises with it."""
    moves = tradable & (curvature > 0)
    if not moves.any():
        return 0.0
    reach = float(curvature[moves].max()) * 2.0 + float(np.max(width[moves] * curvature[moves]))

    def total(price: float) -> float:
        middle = targets[moves] + price / curvature[moves]
        within = np.clip(held[moves], np.maximum(middle - width[moves], 0.0), np.maximum(middle + width[moves], 0.0))
        return float(within.sum())

    wanted = free - float(held[tradable & ~moves].sum())
    if abs(total(0.0) - wanted) <= 1e-12:  # noqa: PLR2004 - rounding: nothing is traded, or it sums up already
        return 0.0
    low, high = -reach, reach
    for _ in range(STEPS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if total(middle) < wanted else (low, middle)
    return 0.5 * (low + high)


def _exactly(weights: "FloatArray", held: "FloatArray", tradable: "np.ndarray", free: float) -> "FloatArray":
    """Weights whose traded part is scaled by rounding errors, so that all sum to one."""
    traded = tradable & (weights != held)
    total = weights[traded].sum()
    rest = free - weights[tradable & ~traded].sum()
    if (
        total <= 0 and abs(rest) > LEAST_TRADE
    ):  # what a sale of others left over cannot be judged: it is shared out by size
        traded, total, rest = tradable, weights[tradable].sum(), free
    if total <= 0:
        return weights
    exact: FloatArray = np.where(traded, weights * rest / total, weights)
    return exact
