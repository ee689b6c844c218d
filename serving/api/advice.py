"""Types of recommendations: what is asked about a book, the action with its size, stop and record, and why it is so."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from serving.api.base import (
    CURRENCY,
    HORIZON_MINUTES,
    HORIZON_SESSIONS,
    Finite,
    Horizon,
    Minutes,
    Part,
    Price,
    Request,
    Symbol,
    SymbolAnswer,
)
from serving.api.outlook import Direction

ADVICE_DISCLAIMER = (
    "Computed by fixed rules from a model's estimate and the numbers that were sent: not a recommendation to invest, "
    "and no advice for one person's situation. Past performance is no guarantee of future results."
)
MOST_SHARES, MOST_EQUITY = 1e12, 1e15

Action = Literal["buy", "hold", "sell"]
RiskTolerance = Literal["low", "moderate", "high"]
TimeHorizon = Literal["short", "medium", "long"]
CallSource = Literal["advice", "in_replay", "none"]
AdviceGateState = Literal["active", "reducing", "halted", "unknown"]
DeskVoteKind = Literal["strategy", "advice", "rule"]


class PortfolioContext(Request):
    """The book that a recommendation is for."""

    current_position: Finite = Field(
        ge=-MOST_SHARES, le=MOST_SHARES, strict=False, description="shares held; below zero where sold short"
    )
    equity: Finite | None = Field(
        default=None,
        gt=0,
        le=MOST_EQUITY,
        strict=False,
        description="value of the account in the currency of the price; without it no size follows",
    )
    risk_tolerance: RiskTolerance = Field(description="which limits bound the size (docs/advice.md)")
    time_horizon: TimeHorizon = Field(
        default="short",
        description="which horizon of the models is meant where none is named: nearest, middle or farthest",
    )


class RecommendRequest(Request):
    """What to do about one symbol."""

    symbol: Symbol
    horizon_sessions: Horizon | None = None
    horizon_minutes: Minutes | None = None
    portfolio_context: PortfolioContext


class AdviceContribution(Part):
    """A feature that moved the forecast."""

    feature: str
    contribution: Finite = Field(description="to the median return, as a fraction")


class AdviceFlip(Part):
    """The smallest change of one feature that changes the action."""

    model_config = Part.model_config | {"populate_by_name": True, "serialize_by_alias": True}

    feature: str
    before: Finite | None = Field(alias="from", description="its value in the last session; null where it is not known")
    after: Finite = Field(alias="to")
    action: Action = Field(description="what would be advised then")


class AdviceBound(Part):
    """One bound of the size."""

    name: str
    shares: Finite = Field(ge=0, description="largest position that it lets through")
    is_binding: bool


class CallCalibration(Part):
    """How often earlier calls with about the same stated probability came true."""

    source: CallSource = Field(
        description="advice: recommendations that were answered; in_replay: what the blend would have said at past "
        "closes, until 30 recommendations have an outcome"
    )
    bucket: str = Field(description="range of the stated probability")
    said: Finite | None = Field(description="mean stated probability; null below 30 outcomes")
    came_true: Finite | None = Field(description="share that came true; null below 30 outcomes")
    n: int = Field(ge=0, description="calls with an outcome")
    interval: tuple[Finite, Finite] | None = Field(
        description="90 % interval of came_true, by closes that do not overlap"
    )
    null: Finite = Field(default=0.5, description="what a coin has")
    sentence: str


class AdviceRisk(Part):
    """What the position would risk."""

    loss_budget: Finite | None = Field(description="that loss_at_stop stays within; null without equity")
    annual_volatility: Finite = Field(ge=0, description="of the symbol, from the band, as a fraction")
    share_of_equity: Finite | None = Field(description="value of the target position by equity; null without equity")
    position_volatility: Finite | None = Field(description="that it adds to the equity a year; null without equity")
    round_trip_cost: Finite = Field(ge=0, description="as a fraction of the value")
    whole_kelly: Finite = Field(ge=0, description="share of the equity of the whole Kelly size")
    excess_shares: Finite = Field(ge=0, description="held beyond the limits of the risk tolerance")
    notes: list[str]


class AdviceGateRead(Part):
    """What the risk gate said."""

    state: AdviceGateState = Field(
        description="unknown: trading was never released in this home, and nothing was checked"
    )
    refused_by: str | None = Field(default=None, exclude_if=lambda refused: refused is None)


class Recommendation(Part):
    """What to do, with its size and its reasons."""

    recommendation_id: str
    action: Action
    reason: str = Field(description="rule that decided, in one or two words")
    quantity: Finite | None = Field(ge=0, description="shares to trade; null where no size follows")
    target_position: Finite | None = Field(description="shares to hold afterwards; null where no size follows")
    confidence: Finite = Field(ge=0.5, le=1, description="that the return has the forecast's sign")
    direction: Direction
    target_price: Price | None = Field(description="reference price x (1 + expected_return); null without a price")
    stop_loss: Price | None = Field(description="null where nothing would be held, or without a price")
    expected_return: Finite = Field(description="calibrated median over the horizon, as a fraction")
    naive_return: Finite = Field(default=0.0, description="what the naive forecast expects: no change")
    loss_at_stop: Finite | None = Field(ge=0, description="of the target position, costs included")
    expires_at: datetime = Field(description="close of the next bar; ask anew after it")
    reasoning: str
    reasons: list[AdviceContribution] = Field(description="features that moved the forecast most, the largest first")
    no_reasons_because: str | None = Field(default=None, exclude_if=lambda told: told is None)
    sizes: list[AdviceBound] = Field(description="every bound of the size; empty where none was computed")
    bound_by: str | None = Field(description="the least of them; null where no size was computed")
    risk_assessment: AdviceRisk
    flips_if: AdviceFlip | None = Field(description="null where no change was found, or it was not looked for")
    no_flip_because: str | None = Field(default=None, exclude_if=lambda told: told is None)
    calibration: CallCalibration
    gate: AdviceGateRead


class RecommendAnswer(SymbolAnswer):
    """A recommendation, stored before it was answered."""

    disclaimer: str = Field(default=ADVICE_DISCLAIMER, description="what this is not")
    prediction_id: str = Field(description="forecast that it rests on")
    symbol: str
    as_of: datetime = Field(description="close of the last bar that the forecast knew")
    made_at: datetime = Field(description="wall-clock time at which it was made")
    horizon_sessions: int | None = HORIZON_SESSIONS
    horizon_minutes: int | None = HORIZON_MINUTES
    reference_price: Price | None = Field(description="price as traded that the return starts from")
    currency: str | None = CURRENCY
    portfolio_context: PortfolioContext = Field(description="as it was asked")
    recommendation: Recommendation


class RecommendationsAnswer(SymbolAnswer):
    """Recommendations of a symbol that were asked for with one key, the newest first."""

    disclaimer: str = Field(default=ADVICE_DISCLAIMER, description="what this is not")
    symbol: str
    as_of: datetime = Field(description="none that was made later is listed")
    recommendations: list[RecommendAnswer]


class ExplainRecommendationRequest(Request):
    """Which recommendation is to be explained."""

    recommendation_id: str = Field(max_length=64, description="recommendation_id of a stored recommendation")


class DeskVoteRead(Part):
    """One vote of the desk about the symbol, a losing one too."""

    source: str = Field(description="who votes, e.g. strategy:ridge, advice:moderate or rule:restricted")
    kind: DeskVoteKind
    target: Finite | None = Field(description="share of equity to hold; null of a rule that had nothing to say")
    confidence: Finite = Field(ge=0, le=1, description="that it is right, by its own word; it does not count")
    weight: Finite = Field(ge=0, description="evidence weight: what it counts")
    overruled_by: str | None = Field(description="who had its way instead; null where the decision followed it")
    reason: str


class DeskDecisionRead(Part):
    """What an account of the desk decided about the symbol at the close that the forecast knew."""

    decision_id: str
    account: str
    known_time: datetime = Field(description="market time at which it was written down")
    action: Action
    wanted: Finite = Field(description="share of equity that the weighted votes ask for")
    target: Finite = Field(description="share of equity that is to be held, after rules and limits")
    decided_by: str = Field(description="votes, or the rule or limit that had the last word")
    reason: str
    votes: list[DeskVoteRead] = Field(description="strategies and advice by weight, then rules")


class SizeStep(Part):
    """One step from the whole Kelly size to the shares to hold."""

    name: str
    shares: Finite = Field(ge=0, description="largest position that this step alone lets through")
    least_so_far: Finite = Field(ge=0, description="the least of this step and those before it")
    is_binding: bool = Field(description="whether it is the bound that decided the size")


class ExplainRecommendationAnswer(SymbolAnswer):
    """Why a stored recommendation is what it is; nothing of it is computed anew."""

    disclaimer: str = Field(default=ADVICE_DISCLAIMER, description="what this is not")
    recommendation_id: str
    prediction_id: str = Field(description="forecast that it rests on; /explain/prediction splits it further")
    symbol: str
    as_of: datetime = Field(description="close of the last bar that the forecast knew")
    made_at: datetime = Field(description="wall-clock time at which it was made")
    action: Action
    reason: str = Field(description="rule that decided, in one or two words")
    reasoning: str
    decisions: list[DeskDecisionRead] = Field(description="of the desk's accounts, with all votes; operators see them")
    no_decisions_because: str | None = Field(default=None, exclude_if=lambda told: told is None)
    sizes: list[SizeStep] = Field(description="from the whole Kelly size on; empty where no size was computed")
    no_sizes_because: str | None = Field(default=None, exclude_if=lambda told: told is None)
    bound_by: str | None = Field(description="what decided the size: a step, lot or risk_gate; null without a size")
    target_position: Finite | None = Field(description="shares to hold afterwards; null where no size follows")
    gate: AdviceGateRead
    contributions: list[AdviceContribution] = Field(description="features that moved the forecast most")
    no_contributions_because: str | None = Field(default=None, exclude_if=lambda told: told is None)
    flips_if: AdviceFlip | None = Field(description="null where no change was found, or it was not looked for")
    no_flip_because: str | None = Field(default=None, exclude_if=lambda told: told is None)


class LoggedRecommendation(Part):
    """A recommendation that rests on a forecast, without the book that it was for."""

    recommendation_id: str
    made_at: datetime
    known_time: datetime = Field(description="market time at which it was made")
    action: Action
    reason: str
    confidence: Finite
    expected_return: Finite
    gate_state: AdviceGateState
