"""What is said about advice: one sentence for the rule that decided, one for the size, notes about the risk."""

from typing import TYPE_CHECKING

from serving.advice.advising import Reason

if TYPE_CHECKING:
    from serving.advice.advising import Advice
    from serving.advice.asked import AdviceQuestion
    from serving.advice.reliability import CallRecord

BOUNDS = {
    "volatility_target": "the volatility target",
    "half_kelly": "half of the Kelly size",
    "stop_loss_budget": "the loss budget at the stop",
    "largest_position": "the largest position",
    "lot": "the lot",
    "risk_gate": "the risk gate",
}
SOURCES = {
    "advice": "calls of earlier recommendations",
    "in_replay": "calls that the blend would have made at past closes",
    "none": "earlier calls",
}
SENTENCES: dict[Reason, str] = {
    "halted": "Hold: trading is halted by {gate}. Closing orders of a named person pass in every state.",
    "no_price": "Hold: a rise of {move} is expected, and the price as traded is not known, so no size follows.",
    "stale": "Hold: the forecast is stale, {age} closed since it was made. Ask again once it has been renewed.",
    "uncalibrated": "Hold: the forecast is not calibrated yet, too little has come of earlier ones.",
    "flat": "Hold: the forecast is no change.",
    "below_cost": "Hold: a move of {move} is expected, and buying and selling again costs {cost}.",
    "not_enough_outcomes": "Hold: not enough outcomes of calls with a confidence of {bucket} (n={n}) to rely on it.",
    "unproven": "Hold: calls with a confidence of {bucket} came true in {true}, which chance explains.",
    "reducing": "Hold: a rise of {move} is expected, and the risk gate lets through only what lowers exposure.",
    "no_equity": "Buy: a rise of {move} is expected. No size follows, because the equity was not named.",
    "below_lot": "Hold: a rise of {move} is expected, and the limits leave less than one lot.",
    "held_already": "Hold: a rise of {move} is expected, and what is held is at least what would be bought.",
    "above_limit": "Sell: what is held is more than {bound} permits; the rest may stay.",
    "nothing_held": "Hold: a fall of {move} is expected, nothing is held, and no shares are sold short.",
    "expected_rise": "Buy: a rise of {move} is expected, and buying and selling again costs {cost}.",
    "expected_fall": "Sell all that is held: a fall of {move} is expected, and buying and selling again costs {cost}.",
}


def reasoning_of(asked: "AdviceQuestion", advice: "Advice") -> str:
    """Return why, in one to three sentences."""
    bucket, true = asked.record.bucket, asked.record.bucket.came_true
    first = SENTENCES[advice.reason].format(
        gate=asked.gate.refused_by or "the risk gate",
        age=_bars(asked.forecast.age_bars),
        move=_percent(abs(advice.expected_return)),
        cost=_percent(advice.round_trip_cost),
        bucket=bucket.name,
        n=bucket.outcomes,
        true="an unknown share" if true is None else f"{100 * true:.0f} % of {bucket.outcomes:,}",
        bound=BOUNDS.get(advice.bound_by, advice.bound_by),
    )
    return " ".join([first, *_size_sentences(asked, advice), *_stop_sentences(advice)])


def record_sentence(record: "CallRecord") -> str:
    """Return what came of earlier calls, in one sentence.

    Examples
    --------
    >>> from serving.advice import CallBucket, CallRecord
    >>> bucket = CallBucket(0.54, 0.57, 4_200, 900, 0.553, 0.541)
    >>> record_sentence(CallRecord("in_replay", bucket, (0.52, 0.56)))
    'said 55 %, came true 54 % (52-56 %, n=4,200): calls that the blend would have made at past closes'
    >>> record_sentence(CallRecord("none", bucket._replace(outcomes=0, said=None, came_true=None), None))
    'not enough outcomes (n=0)'
    """
    bucket = record.bucket
    if record.interval is None or bucket.said is None or bucket.came_true is None:
        return f"not enough outcomes (n={bucket.outcomes:,})"
    low, high = record.interval
    shares = f"said {100 * bucket.said:.0f} %, came true {100 * bucket.came_true:.0f} %"
    return f"{shares} ({100 * low:.0f}-{100 * high:.0f} %, n={bucket.outcomes:,}): {SOURCES[record.source]}"


def risk_notes(asked: "AdviceQuestion", advice: "Advice") -> list[str]:
    """Return what a reader should know of the risk, a sentence each."""
    notes = []
    if asked.gate.state == "unknown":
        notes.append("Trading was never released in this home, so the risk gate checked nothing.")
    if asked.book.equity is None:
        notes.append("The equity was not named, so the size and its risk are not known.")
    if advice.excess >= asked.limits.lot_shares:
        notes.append(
            f"{advice.excess:,.0f} shares are held beyond the limits of a {asked.book.risk_tolerance} risk tolerance."
        )
    if asked.book.position < 0:
        notes.append("The position is sold short; its loss has no bound, and a gap passes any stop.")
    if advice.stop_loss is not None:
        notes.append("A price that gaps passes the stop: the loss can be larger than the loss at the stop.")
    if asked.forecast.atr is None:
        notes.append("The average true range is not known; the stop follows from the band alone.")
    if asked.forecast.is_degraded:
        notes.append("The online store did not answer; the forecast was made from a copy in memory.")
    return notes


def _size_sentences(asked: "AdviceQuestion", advice: "Advice") -> list[str]:
    if not advice.bounds or advice.reason in {"above_limit", "below_lot"}:
        return []
    bound = BOUNDS.get(advice.bound_by, advice.bound_by)
    tolerance = asked.book.risk_tolerance
    return [f"{bound[0].upper()}{bound[1:]} of a {tolerance} risk tolerance binds the size: {_shares(advice)}."]


def _stop_sentences(advice: "Advice") -> list[str]:
    if advice.stop_loss is None or advice.loss_at_stop is None or advice.loss_budget is None:
        return []
    if not advice.target_position:
        return []
    lost = f"At the stop {advice.stop_loss:,.2f} the loss would be {advice.loss_at_stop:,.0f}, costs included"
    is_within = advice.loss_at_stop <= advice.loss_budget
    return [f"{lost}, {'of' if is_within else 'more than'} the budget of {advice.loss_budget:,.0f}."]


def _shares(advice: "Advice") -> str:
    least = min(advice.bounds, key=lambda bound: bound.shares)
    return f"at most {least.shares:,.1f} shares"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _bars(count: int) -> str:
    return "1 bar has" if count == 1 else f"{count} bars have"
