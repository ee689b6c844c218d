"""The methods by name: from what was known at a close to target weights."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from lake.errors import NotReadyError, UnknownNameError
from serving.portfolio.moments import (
    black_litterman_posterior,
    equilibrium_returns,
    factor_covariance,
    shrunk_means,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.evidence import FloatArray
    from serving.portfolio.declaration import DeclaredPortfolio
    from serving.portfolio.inputs import PortfolioInputs

BPS = 1e-4
BLACK_LITTERMAN = "black_litterman"
"""The method that market weights and forecasts count in."""


@dataclass(frozen=True)
class MethodAnswer:
    """What a method asks for.

    Parameters
    ----------
    weights
        ``[symbol]``, as the method gives them; `serving.portfolio.fallback` checks them.
    expected
        ``[symbol]``: returns over the horizon of the views that it expects; None where it uses none.
    """

    weights: "FloatArray"
    expected: "FloatArray | None" = None


Ask = Callable[["PortfolioInputs", "DeclaredPortfolio", "FloatArray | None"], MethodAnswer]


@dataclass(frozen=True)
class PortfolioMethod:
    """One method.

    Parameters
    ----------
    name
        In declarations and tables.
    meaning
        One sentence for a reader.
    ask
        Makes weights of inputs, a declaration, and the weights held, None before the first.
    needs
        What its inputs have to be sound in: ``nothing``, ``volatility`` or ``covariance``.
    """

    name: str
    meaning: str
    ask: Ask
    needs: str


def method_named(name: str) -> PortfolioMethod:
    """Return a method.

    Raises
    ------
    UnknownNameError
        If there is none of that name; the message lists those there are.

    Examples
    --------
    >>> method_named("equal").meaning
    'The same weight for each symbol, 1/N: what every other method is judged against.'
    """
    if name not in METHODS:
        raise UnknownNameError("portfolio method", name, sorted(METHODS))
    return METHODS[name]


def cap_of(declared: "DeclaredPortfolio", count: int) -> float:
    """Largest weight of a symbol: what is declared, or one over their number where they are too few for it."""
    return max(declared.most_weight, 1.0 / count)


def capped(weights: "FloatArray", cap: float) -> "FloatArray":
    """Cut weights at a cap and share what is cut among the others by their size; they sum to one as before.

    Examples
    --------
    >>> capped(np.array([0.7, 0.2, 0.1]), 0.5).round(6).tolist()
    [0.5, 0.333333, 0.166667]
    """
    found = weights / weights.sum()
    for _ in range(len(found)):
        over = found > cap + 1e-12
        if not over.any():
            break
        is_free = found < cap
        found = np.where(over, cap, found)
        free = found[is_free].sum()
        left = 1.0 - found[~is_free].sum()
        found[is_free] = found[is_free] * left / free if free > 0 else left / max(is_free.sum(), 1)
    kept: FloatArray = found
    return kept


def _equal(inputs: "PortfolioInputs", _: "DeclaredPortfolio", __: "FloatArray | None") -> MethodAnswer:
    return MethodAnswer(np.full(inputs.count, 1.0 / inputs.count))


def _inverse_volatility(
    inputs: "PortfolioInputs", declared: "DeclaredPortfolio", _: "FloatArray | None"
) -> MethodAnswer:
    return MethodAnswer(capped(1.0 / inputs.volatilities, cap_of(declared, inputs.count)))


def _mean_variance(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", _: "FloatArray | None") -> MethodAnswer:
    return _of_utility(inputs, declared, None)


def _mean_variance_with_costs(
    inputs: "PortfolioInputs", declared: "DeclaredPortfolio", held: "FloatArray | None"
) -> MethodAnswer:
    return _of_utility(inputs, declared, held)


def _of_utility(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", held: "FloatArray | None") -> MethodAnswer:
    from serving.portfolio.solving import mean_variance_weights

    means = shrunk_means(inputs.returns, inputs.covariance)
    bars = declared.rebalancing.review_bars
    weights = mean_variance_weights(
        inputs.returns,
        means * bars,
        inputs.covariance * bars,
        declared.risk_aversion,
        cap_of(declared, inputs.count),
        cost=declared.cost_bps * BPS,
        previous=held,
    )
    horizon = 1 if inputs.views is None else inputs.views.horizon_bars
    return MethodAnswer(weights, means * horizon)


def _black_litterman(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", _: "FloatArray | None") -> MethodAnswer:
    views = inputs.views
    cap = cap_of(declared, inputs.count)
    horizon = 1 if views is None else views.horizon_bars
    covariance = inputs.covariance * horizon
    prior = equilibrium_returns(covariance, inputs.market_weights, declared.risk_aversion)
    if views is None or not views.is_there.any():
        return MethodAnswer(capped(inputs.market_weights, cap), prior)
    from serving.portfolio.solving import mean_variance_weights

    seen = views.is_there
    picks = np.eye(inputs.count)[seen]
    posterior = black_litterman_posterior(
        prior, covariance, picks, views.medians[seen], views.variances[seen], declared.tau
    )
    weights = mean_variance_weights(inputs.returns, posterior.means, posterior.covariance, declared.risk_aversion, cap)
    return MethodAnswer(weights, posterior.means)


def _equal_risk(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", _: "FloatArray | None") -> MethodAnswer:
    from serving.portfolio.solving import equal_risk_weights

    return MethodAnswer(equal_risk_weights(inputs.returns, inputs.covariance, cap_of(declared, inputs.count)))


def _hierarchical(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", _: "FloatArray | None") -> MethodAnswer:
    from serving.portfolio.solving import hierarchical_weights

    if inputs.count == 2:  # noqa: PLR2004 - skfolio finds no tree of two; their split is by inverse variance
        return MethodAnswer(capped(1.0 / np.diag(inputs.covariance), cap_of(declared, 2)))
    return MethodAnswer(hierarchical_weights(inputs.returns, inputs.covariance, cap_of(declared, inputs.count)))


def _factor(inputs: "PortfolioInputs", declared: "DeclaredPortfolio", _: "FloatArray | None") -> MethodAnswer:
    from serving.portfolio.solving import mean_variance_weights

    if inputs.index_returns is None or not np.ptp(inputs.index_returns) > 0:
        raise NotReadyError("the market's index has no bars to make a factor of")
    covariance = factor_covariance(inputs.returns, inputs.index_returns)
    weights = mean_variance_weights(
        inputs.returns,
        np.zeros(inputs.count),
        covariance,
        declared.risk_aversion,
        cap_of(declared, inputs.count),
    )
    return MethodAnswer(weights)


METHODS: "Mapping[str, PortfolioMethod]" = MappingProxyType(
    {
        each.name: each
        for each in (
            PortfolioMethod(
                "equal",
                "The same weight for each symbol, 1/N: what every other method is judged against.",
                _equal,
                "nothing",
            ),
            PortfolioMethod(
                "inverse_volatility",
                "Weights in proportion to one over the volatility.",
                _inverse_volatility,
                "volatility",
            ),
            PortfolioMethod(
                "mean_variance",
                "Most utility by shrunk covariance and means shrunk to zero: mostly least variance.",
                _mean_variance,
                "covariance",
            ),
            PortfolioMethod(
                "mean_variance_with_costs",
                "The same with the cost of trading away from what is held.",
                _mean_variance_with_costs,
                "covariance",
            ),
            PortfolioMethod(
                BLACK_LITTERMAN,
                "Market weights moved by forecasts, each as uncertain as its calibrated band.",
                _black_litterman,
                "covariance",
            ),
            PortfolioMethod("equal_risk", "The same share of the variance for each symbol.", _equal_risk, "covariance"),
            PortfolioMethod(
                "hierarchical_risk_parity",
                "Risk halved down a tree of correlated symbols.",
                _hierarchical,
                "covariance",
            ),
            PortfolioMethod(
                "factor", "Least variance by a covariance of one factor, the market's index.", _factor, "covariance"
            ),
        )
    }
)
"""Every method, by name."""
