"""skfolio behind the methods that solve a convex problem, told moments of ours; imported where one of them runs."""

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from serving.evidence import FloatArray


def mean_variance_weights(
    returns: "FloatArray",
    means: "FloatArray",
    covariance: "FloatArray",
    risk_aversion: float,
    most_weight: float,
    *,
    cost: float = 0.0,
    previous: "FloatArray | None" = None,
) -> "FloatArray":
    """Weights of most utility ``mu' w - delta / 2 w' Sigma w - cost |w - previous|``, of 0 to a limit, summing to one.

    Parameters
    ----------
    returns
        ``[bar, symbol]``: for their shape alone, the moments are given.
    cost
        Of trading a unit of equity one way, spread over the time that means and covariance are of.
    previous
        ``[symbol]``: weights that trading starts from; with none trading costs nothing.
    """
    from skfolio.optimization import MeanRisk, ObjectiveFunction

    solver = MeanRisk(
        objective_function=ObjectiveFunction.MAXIMIZE_UTILITY,
        risk_aversion=risk_aversion / 2.0,
        prior_estimator=_given(means, covariance),
        max_weights=most_weight,
        transaction_costs=cost if previous is not None else 0.0,
        previous_weights=previous if previous is not None and cost else None,
    )
    return _fitted(solver, returns)


def equal_risk_weights(returns: "FloatArray", covariance: "FloatArray", most_weight: float) -> "FloatArray":
    """Weights at which each symbol has the same share in the variance, as far as the limit allows."""
    from skfolio.optimization import RiskBudgeting

    means = np.zeros(len(covariance))
    return _fitted(RiskBudgeting(prior_estimator=_given(means, covariance), max_weights=most_weight), returns)


def hierarchical_weights(returns: "FloatArray", covariance: "FloatArray", most_weight: float) -> "FloatArray":
    """Hierarchical risk parity: risk halved down a tree of correlations (Lopez de Prado 2016)."""
    from skfolio.optimization import HierarchicalRiskParity

    means = np.zeros(len(covariance))
    return _fitted(HierarchicalRiskParity(prior_estimator=_given(means, covariance), max_weights=most_weight), returns)


def _given(means: "FloatArray", covariance: "FloatArray") -> Any:
    """A prior of skfolio that says these moments, whatever returns it is fitted on."""
    from skfolio.prior import BasePrior, ReturnDistribution

    class GivenMoments(BasePrior):
        """Moments that are known already."""

        def __init__(self, means: "FloatArray", covariance: "FloatArray") -> None:
            self.means = means
            self.covariance = covariance

        def fit(self, X: "FloatArray", y: object = None, **_: object) -> "GivenMoments":  # noqa: ARG002, N803 - of sklearn
            self.return_distribution_ = ReturnDistribution(mu=self.means, covariance=self.covariance, returns=X)
            return self

    return GivenMoments(means, covariance)


def _fitted(solver: Any, returns: "FloatArray") -> "FloatArray":
    """Weights of a fitted estimator; its warnings about accuracy become the checks of the weights that it gives."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solver.fit(returns)
    weights: FloatArray = np.asarray(solver.weights_, np.float64)
    return weights
