"""Why a stored recommendation is what it is: the steps of its size, and what was stored beside them."""

from collections.abc import Sequence

from serving import api

WHOLE_KELLY = "whole_kelly"
STEPS = ("half_kelly", "volatility_target", "stop_loss_budget", "largest_position")
"""Bounds in the order in which they are told; `bound_by` does not depend on it."""


def why_recommended(
    answer: api.RecommendAnswer, decisions: Sequence[api.DeskDecisionRead], no_decisions_because: str = ""
) -> api.ExplainRecommendationAnswer:
    """Return the explanation of a stored recommendation; nothing is computed anew but the order of its steps.

    Parameters
    ----------
    answer
        As it was answered.
    decisions
        Of the desk, about the same symbol and close.
    no_decisions_because
        Why there are none; empty where there are.
    """
    told = answer.recommendation
    steps = size_steps(answer)
    return api.ExplainRecommendationAnswer(
        disclaimer=answer.disclaimer,
        recommendation_id=told.recommendation_id,
        prediction_id=answer.prediction_id,
        symbol=answer.symbol,
        as_of=answer.as_of,
        made_at=answer.made_at,
        action=told.action,
        reason=told.reason,
        reasoning=told.reasoning,
        decisions=list(decisions),
        no_decisions_because=no_decisions_because or None,
        sizes=steps,
        no_sizes_because=None if steps else f"The rule `{told.reason}` decided without a size.",
        bound_by=told.bound_by,
        target_position=told.target_position,
        gate=told.gate,
        contributions=told.reasons,
        no_contributions_because=told.no_reasons_because,
        flips_if=told.flips_if,
        no_flip_because=told.no_flip_because,
    )


def size_steps(answer: api.RecommendAnswer) -> list[api.SizeStep]:
    """Return the steps of a size, from the whole Kelly size on; empty where no size was computed.

    Returns
    -------
    list[SizeStep]
        In shares. The whole Kelly size binds never: half of it is always less. Where what is held beyond half of Kelly
        is sold down to the other bounds, the binding step is one of these and `least_so_far` may be below it.
    """
    told, equity, price = answer.recommendation, answer.portfolio_context.equity, answer.reference_price
    if not told.sizes or equity is None or price is None:
        return []
    bounds = {each.name: each for each in told.sizes}
    shares = [(WHOLE_KELLY, told.risk_assessment.whole_kelly * equity / price)]
    shares += [(name, bounds[name].shares) for name in (*STEPS, *sorted(set(bounds) - set(STEPS))) if name in bounds]
    steps: list[api.SizeStep] = []
    for name, most in shares:
        least = min(most, steps[-1].least_so_far) if steps else most
        steps.append(api.SizeStep(name=name, shares=most, least_so_far=least, is_binding=name == told.bound_by))
    return steps
