"""View model of a recommendation: the action in words, the size with what bound it, stop and target on a scale."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from serving.pages import formats
from serving.pages.views.bands import Badge

if TYPE_CHECKING:
    from serving.api import CallCalibration, RecommendAnswer, Recommendation

ARROWS = {"buy": "▲", "hold": "·", "sell": "▼"}
BOUNDS = {
    "half_kelly": "half of Kelly",
    "stop_loss_budget": "loss budget at the stop",
    "volatility_target": "volatility target",
    "largest_position": "largest position",
}


@dataclass(frozen=True)
class ScaleMark:
    """One price on the scale.

    Parameters
    ----------
    name, price
        Which, and as it is printed.
    place
        From 0 at the lowest price to 100 at the highest.
    """

    name: str
    price: str
    place: float


@dataclass(frozen=True)
class SizeLine:
    """One bound of the size, as it is printed."""

    name: str
    shares: str
    is_binding: bool


@dataclass(frozen=True)
class AdviceView:
    """A recommendation, as it is printed.

    Parameters
    ----------
    action, arrow, headline
        What to do: the word, its sign, and the line with the size.
    facts
        Name and value of each number.
    scale
        Stop, price and target in the order of their prices; empty where one is not known.
    sizes
        Every bound, the least first.
    badge
        How often earlier calls of this confidence came true.
    reasons
        Feature and contribution.
    flips
        What would change the action, or why it is not known.
    gate
        What the risk gate said.
    """

    recommendation_id: str
    forecast_id: str
    action: str
    arrow: str
    headline: str
    reasoning: str
    facts: tuple[tuple[str, str], ...]
    scale: tuple[ScaleMark, ...]
    sizes: tuple[SizeLine, ...]
    badge: Badge
    reasons: tuple[tuple[str, str], ...]
    no_reasons: str
    flips: str
    gate: str
    notes: tuple[str, ...]
    book: str
    made: str
    expires: str
    disclaimer: str


@dataclass(frozen=True)
class PastAdvice:
    """An earlier recommendation in a list."""

    recommendation_id: str
    made: str
    action: str
    reason: str
    confidence: str
    quantity: str


def advice_view(answer: "RecommendAnswer") -> AdviceView:
    """Return the panel of a recommendation."""
    told = answer.recommendation
    gate = told.gate.state if told.gate.refused_by is None else f"{told.gate.state}: {told.gate.refused_by}"
    return AdviceView(
        recommendation_id=told.recommendation_id,
        forecast_id=answer.prediction_id,
        action=told.action,
        arrow=ARROWS[told.action],
        headline=_headline(answer),
        reasoning=told.reasoning,
        facts=_facts(answer),
        scale=_scale(answer),
        sizes=tuple(SizeLine(BOUNDS[each.name], f"{each.shares:,.1f}", each.is_binding) for each in told.sizes),
        badge=call_badge(told.calibration),
        reasons=tuple((each.feature, formats.signed(each.contribution, 3)) for each in told.reasons),
        no_reasons=told.no_reasons_because or "No feature contributes.",
        flips=_flips(told),
        gate=gate,
        notes=tuple(told.risk_assessment.notes),
        book=_book(answer),
        made=formats.instant(answer.made_at),
        expires=formats.instant(told.expires_at),
        disclaimer=answer.disclaimer,
    )


def past_advice(answer: "RecommendAnswer") -> PastAdvice:
    """Return the line of an earlier recommendation."""
    told = answer.recommendation
    return PastAdvice(
        recommendation_id=told.recommendation_id,
        made=formats.instant(answer.made_at),
        action=told.action,
        reason=formats.words(told.reason),
        confidence=formats.percent(told.confidence, 0),
        quantity=formats.UNKNOWN if told.quantity is None else f"{told.quantity:,.0f}",
    )


def call_badge(record: "CallCalibration") -> Badge:
    """Return the badge of earlier calls with the same confidence."""
    if record.interval is None or record.said is None or record.came_true is None:
        return Badge(f"not enough outcomes (n = {record.n:,})", "few")
    low, high = record.interval
    shares = f"said {formats.percent(record.said, 0)}, came true {formats.percent(record.came_true, 0)}"
    words = f"{shares} ({formats.interval(low, high)}, n = {record.n:,})"
    if record.source == "in_replay":
        return Badge(f"in replay: {words}", "in_replay", "What the blend would have said at each past close.")
    return Badge(words, "as_promised" if low <= record.said <= high else "too_narrow")


def _headline(answer: "RecommendAnswer") -> str:
    told, held = answer.recommendation, answer.portfolio_context.current_position
    if told.action == "hold":
        return f"Hold {held:,.0f} shares" if held else "Hold: nothing is held, nothing to buy"
    if told.quantity is None or told.target_position is None:
        return f"{told.action.capitalize()}, the size is not known"
    return f"{told.action.capitalize()} {told.quantity:,.0f} shares, {held:,.0f} → {told.target_position:,.0f}"


def _facts(answer: "RecommendAnswer") -> tuple[tuple[str, str], ...]:
    told, risk = answer.recommendation, answer.recommendation.risk_assessment
    budget = "" if risk.loss_budget is None else f", budget {formats.price(risk.loss_budget)}"
    loss = formats.UNKNOWN if told.loss_at_stop is None else formats.price(told.loss_at_stop) + budget
    return (
        ("expected, calibrated", formats.signed(told.expected_return, 2)),
        ("naive forecast", formats.signed(told.naive_return, 2)),
        ("round trip costs", formats.percent(risk.round_trip_cost, 2)),
        (f"P({told.direction})", formats.percent(told.confidence)),
        ("target price", formats.price(told.target_price)),
        ("stop", formats.price(told.stop_loss)),
        ("loss at the stop", loss),
        ("share of the equity", formats.percent(risk.share_of_equity)),
        ("volatility a year, symbol", formats.percent(risk.annual_volatility)),
        ("volatility a year, of the equity", formats.percent(risk.position_volatility)),
    )


def _scale(answer: "RecommendAnswer") -> tuple[ScaleMark, ...]:
    told = answer.recommendation
    if answer.reference_price is None or told.stop_loss is None or told.target_price is None:
        return ()
    prices = {"stop": told.stop_loss, "price": answer.reference_price, "target": told.target_price}
    low, high = min(prices.values()), max(prices.values())
    ordered = sorted(prices.items(), key=lambda each: each[1])
    width = high - low or 1.0
    return tuple(ScaleMark(name, formats.price(at), round(100 * (at - low) / width, 1)) for name, at in ordered)


def _flips(told: "Recommendation") -> str:
    flip = told.flips_if
    if flip is None:
        reason = told.no_flip_because or "it was not looked for"
        return f"Not told: {reason}."
    before = formats.number(flip.before)
    return f"{flip.action.capitalize()}, if {flip.feature} were {formats.number(flip.after)} instead of {before}."


def _book(answer: "RecommendAnswer") -> str:
    asked = answer.portfolio_context
    named = "equity not named" if asked.equity is None else f"equity {asked.equity:,.0f} {answer.currency or ''}"
    return f"{asked.current_position:,.0f} shares held, {named.strip()}, {asked.risk_tolerance} risk tolerance"
