"""Types of portfolios: what a declared method holds beside 1/N, why it traded or did not, and the evidence for it."""

from datetime import date, datetime
from typing import Any

from pydantic import Field

from serving.api.base import Answer, Finite, Part
from serving.api.history import Share

EVIDENCE_NEEDED = 20.0
"""E-value from which on a portfolio counts as better than 1/N: chance alone gets there in 5 of 100 at most."""
PAST_PERFORMANCE = "Past performance is no guarantee of future results. Weights are no recommendation to invest."


class PortfolioPosition(Part):
    """One symbol of a portfolio; fractions of equity unless they say otherwise."""

    symbol: str
    weight: Share = Field(description="held from the close on")
    equal_weight: Share = Field(description="held by 1/N that trades by the same rule at the same closes")
    target: Share = Field(description="what the method in use asked for at the last review")
    trade: Finite = Field(description="bought at this close; below zero: sold")
    risk_share: Finite | None = Field(description="share in the expected variance; null where it is not known")
    band_low: Finite | None = Field(description="from this weight up it did not pay to buy at the last review")
    band_high: Finite | None = Field(description="up to this weight it did not pay to sell at the last review")
    expected_return: Finite | None = Field(description="over the horizon; null where the method uses none")
    view_return: Finite | None = Field(description="forecast median that was used as a view; null without one")


class PortfolioReview(Part):
    """A close at which targets were made anew."""

    event_time: datetime
    trigger: str = Field(description="first, calendar, threshold, volatility, universe or declaration")
    used: str = Field(description="method whose targets came into force")
    fallback_reason: str | None = Field(description="why it is not the declared one; null where it is")
    bought: Finite = Field(ge=0)
    sold: Finite = Field(ge=0)
    cost: Finite = Field(ge=0, description="of the trades")
    expected_gain: Finite | None = Field(description="of utility until the next review; null for the first purchase")
    reason: str


class PortfolioSummary(Part):
    """One portfolio in a list."""

    portfolio: str
    method: str = Field(description="that it declares")
    used: str = Field(description="method whose targets are in force; another name than the declared one is a fallback")
    fallback_reason: str | None
    event_time: datetime = Field(description="close of its newest weights")
    symbols: int = Field(ge=0, description="with a weight")
    volatility: Finite | None = Field(description="per year, of the weights held over the newest bars")
    equal_volatility: Finite | None = Field(description="the same of 1/N")
    net_return: Finite = Field(description="since the first purchase, net of cost, its own cost included")
    equal_net_return: Finite = Field(description="the same of 1/N")
    cost: Finite = Field(ge=0, description="sum of the cost of all trades")
    sessions: int = Field(ge=0, description="bars that were judged")
    e_value: Finite = Field(ge=0, description="evidence that it earns more than 1/N; 1 is none")
    verdict: str = Field(description="what the evidence allows to say")


class PortfolioAnswer(Answer):
    """A portfolio as it was known at an instant."""

    portfolio: str
    as_of: datetime = Field(description="instant of the answer: nothing in it became known later")
    event_time: datetime = Field(description="close from which on the weights are held")
    known_time: datetime
    summary: PortfolioSummary
    trigger: str = Field(description="why targets were made anew at this close; none: they were not")
    reason: str
    positions: list[PortfolioPosition]
    left_out: list[str] = Field(description="members of the universe without enough bars for a weight")
    bought: Finite = Field(ge=0)
    sold: Finite = Field(ge=0)
    cost: Finite = Field(ge=0, description="of the trades of this close")
    expected_gain: Finite | None
    next_review: date | None = Field(description="by the calendar; null beyond it")
    market_weights: str | None = Field(description="what stands for the market's weights; null where it is not used")
    views: int = Field(ge=0, description="forecasts used as views")
    evidence_needed: Finite = EVIDENCE_NEEDED
    reviews: list[PortfolioReview] = Field(description="the newest first")
    declaration: dict[str, Any] = Field(description="method, limits, costs and rebalancing as they were declared")
    past_performance: str = PAST_PERFORMANCE
