"""Portfolios: from returns and forecasts as they were known at a close to weights, always beside 1/N.

No portfolio is chosen by its best back-test: 1/N stays the null, and what a method gained on it stands beside it with
its evidence. The service process imports nothing of this folder: it reads the table `portfolio_weights`.

- `declaration`: a portfolio as a value: method, limits, costs, rebalancing; ``portfolios.yaml`` of a home
- `moments`: shrunk covariance and means, equilibrium, the posterior of Black and Litterman
- `inputs`, `known`: what a method is told, and how it is read as it was known at a close
- `methods`, `solving`: the registry of methods, and skfolio behind some of them
- `fallback`: a method's targets, or a named fallback with its reason
- `rebalancing`: when weights are looked at, and which trades are worth their cost
- `book`, `closing`: what a portfolio and its 1/N hold, and both from one close to the next
- `updating`: the rows of `portfolio_weights`
"""

from serving.portfolio.declaration import (
    FILE,
    PACKAGED_PORTFOLIOS,
    DeclaredPortfolio,
    RebalancingRule,
    declared_portfolios,
)
from serving.portfolio.fallback import ChosenWeights, target_weights
from serving.portfolio.inputs import ForecastViews, PortfolioInputs
from serving.portfolio.methods import METHODS, PortfolioMethod, method_named
from serving.portfolio.moments import (
    PosteriorReturns,
    black_litterman_posterior,
    equilibrium_returns,
    risk_shares,
    shrunk_covariance,
    shrunk_means,
    unconstrained_weights,
)
from serving.portfolio.rebalancing import NoTradeBand, RebalancingTrades, trades_worth_their_cost
from serving.portfolio.updating import update_portfolio_weights

__all__ = [
    "FILE",
    "METHODS",
    "PACKAGED_PORTFOLIOS",
    "ChosenWeights",
    "DeclaredPortfolio",
    "ForecastViews",
    "NoTradeBand",
    "PortfolioInputs",
    "PortfolioMethod",
    "PosteriorReturns",
    "RebalancingRule",
    "RebalancingTrades",
    "black_litterman_posterior",
    "declared_portfolios",
    "equilibrium_returns",
    "method_named",
    "risk_shares",
    "shrunk_covariance",
    "shrunk_means",
    "target_weights",
    "trades_worth_their_cost",
    "unconstrained_weights",
    "update_portfolio_weights",
]
