"""Advice from a forecast and a book: action, size, stop, and the rule that decided. Pure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from serving.advice import sizing
from serving.advice.sizing import SizeBound

if TYPE_CHECKING:
    from serving.advice.asked import AdviceQuestion

Action = Literal["buy", "hold", "sell"]
Reason = Literal[
    "halted",
    "stale",
    "uncalibrated",
    "flat",
    "below_cost",
    "not_enough_outcomes",
    "unproven",
    "reducing",
    "no_price",
    "no_equity",
    "below_lot",
    "held_already",
    "above_limit",
    "nothing_held",
    "expected_rise",
    "expected_fall",
]
BEFORE_SIZE: tuple[Reason, ...] = (
    "halted", "stale", "uncalibrated", "flat", "below_cost", "not_enough_outcomes", "unproven",
)  # fmt: skip
"""Reasons to hold that no size changes, in the order in which they are looked at."""


@dataclass(frozen=True)
class Advice:
    """What is advised.

    Parameters
    ----------
    action, reason
        What to do, and the rule that decided it.
    quantity
        Shares to trade, without sign; 0 for a hold; None where no size follows, for want of the equity.
    target_position
        Shares to hold afterwards; None where no size follows.
    expected_return
        Calibrated median over the horizon, as a fraction.
    round_trip_cost
        What it has to exceed, as a fraction.
    whole_kelly
        Share of the equity that the whole Kelly size would be; 0 or more.
    bounds
        Every bound of the size in shares; empty where none was computed.
    bound_by
        The least of them, or ``lot`` where less than a lot was left; empty where no size was computed.
    target_price
        Price at the calibrated median; None where the price is not known.
    stop_loss
        Price of the stop of what would be held; None where nothing would be.
    loss_at_stop
        Loss of what would be held from the price now to a sale at the stop, with slippage and the cost of a round trip.
    loss_budget
        What it has to stay within; None without equity.
    deviation_per_year
        Standard deviation of a year's return that the band says, as a fraction.
    excess
        Shares held beyond the bounds that hold whatever is expected; 0 where there are none.
    """

    action: Action
    reason: Reason
    quantity: float | None
    target_position: float | None
    expected_return: float
    round_trip_cost: float
    whole_kelly: float = 0.0
    bounds: tuple[SizeBound, ...] = field(default=())
    bound_by: str = ""
    target_price: float | None = None
    stop_loss: float | None = None
    loss_at_stop: float | None = None
    loss_budget: float | None = None
    deviation_per_year: float = 0.0
    excess: float = 0.0


@dataclass(frozen=True)
class _Sizes:
    """What follows from forecast, book and limits before anything is decided."""

    expected: float
    deviation_per_year: float
    kelly: float
    distance: float
    bounds: tuple[SizeBound, ...]
    """Those that hold whatever is expected; half of Kelly comes beside them where a rise is."""


def advise(asked: "AdviceQuestion") -> Advice:
    """Return what to do about one symbol.

    Buy or sell only if the calibrated median exceeds the cost of a round trip, the forecast is current and calibrated,
    and calls of its confidence have come true more often than a coin beyond chance. A position that is bought is the
    least of the volatility target, half of Kelly, the loss budget at the stop, the position limit, in whole lots. No
    shares are sold short: on a fall what is held is sold. What is held beyond half of Kelly is kept, so that no costs
    are paid for small changes of a forecast; what is held beyond the other bounds is sold down to them.

    Parameters
    ----------
    asked
        Forecast, book, record, costs, limits and gate.

    Returns
    -------
    Advice
        Always one: ``hold`` with a reason is an answer.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from serving.advice import AdviceCosts, AdviceQuestion, AdvisedForecast, BookContext, limits_of
    >>> from serving.advice import CallBucket, CallRecord
    >>> as_of = datetime(2012, 12, 31, 21, tzinfo=UTC)
    >>> forecast = AdvisedForecast("f", "AAPL", as_of, 5, -0.02, 0.01, 0.04, 0.65, 100.0, is_calibrated=True)
    >>> record = CallRecord("in_replay", CallBucket(0.65, 0.7, 900, 300, 0.66, 0.64), (0.59, 0.69))
    >>> book = BookContext(equity=100_000.0)
    >>> found = advise(AdviceQuestion(forecast, book, record, AdviceCosts(), limits_of("moderate")))
    >>> found.action, found.quantity, found.bound_by
    ('buy', 200.0, 'largest_position')
    >>> print(f"{found.stop_loss:.2f} {found.loss_at_stop:.2f} of {found.loss_budget:.2f}")
    98.00 460.00 of 500.00
    """
    sizes = _sizes_of(asked)
    action, reason, target, bounds, bound_by = _decide(asked, sizes)
    return _told(asked, sizes, action, reason, target, bounds, bound_by)


def _sizes_of(asked: "AdviceQuestion") -> _Sizes:
    forecast, book = asked.forecast, asked.book
    expected = sizing.calibrated_median(forecast.p10, forecast.p50, forecast.p90, forecast.confidence)
    deviation = sizing.deviation_of(forecast.p10, forecast.p90)
    per_year = deviation * (forecast.bars_per_year / forecast.horizon_bars) ** 0.5
    distance = sizing.stop_distance(
        forecast.p10, forecast.p90, forecast.atr, asked.limits, is_long=book.position >= 0 or expected > 0
    )
    bounds: list[SizeBound] = []
    if book.equity is not None and forecast.reference_price is not None:
        lost = _lost_at_stop(asked, distance) * forecast.reference_price
        bounds = sizing.risk_bounds(book.equity, forecast.reference_price, per_year, lost, asked.limits)
    return _Sizes(expected, per_year, sizing.whole_kelly(expected, deviation), distance, tuple(bounds))


Decided = tuple[Action, Reason, float | None, tuple[SizeBound, ...], str]


def _decide(asked: "AdviceQuestion", sizes: _Sizes) -> Decided:
    position, why = asked.book.position, _why_hold(asked, sizes)
    if why is not None:
        return "hold", why, position, (), ""
    if sizes.expected < 0:
        return ("sell", "expected_fall", 0.0, (), "") if position > 0 else ("hold", "nothing_held", position, (), "")
    if asked.gate.state == "reducing" and position >= 0:
        return "hold", "reducing", position, (), ""
    if asked.forecast.reference_price is None:
        return "hold", "no_price", position, (), ""
    if not sizes.bounds:
        return "buy", "no_equity", None, (), ""
    return _sized(asked, sizes)


def _sized(asked: "AdviceQuestion", sizes: _Sizes) -> Decided:
    """Size a position for an expected rise; equity and price are known."""
    forecast, book, limits = asked.forecast, asked.book, asked.limits
    assert book.equity is not None
    assert forecast.reference_price is not None
    position = book.position
    kelly = limits.kelly_fraction * sizes.kelly * book.equity / forecast.reference_price
    bounds = (*sizes.bounds, SizeBound("half_kelly", kelly))
    least = min(bounds, key=lambda bound: bound.shares)
    target = sizing.in_lots(least.shares, limits.lot_shares)
    if asked.gate.state == "reducing":  # what was sold short is bought back, and no more
        return "buy", "expected_rise", min(0.0, target), bounds, "risk_gate"
    if position - target >= limits.lot_shares:
        most = min(sizes.bounds, key=lambda bound: bound.shares)
        kept = sizing.in_lots(most.shares, limits.lot_shares)
        if position - kept >= limits.lot_shares:
            return "sell", "above_limit", kept, bounds, most.name
        return "hold", "held_already", position, bounds, least.name
    if target - position >= limits.lot_shares:
        return "buy", "expected_rise", target, bounds, least.name
    is_below_lot = target < limits.lot_shares
    return (
        "hold",
        "below_lot" if is_below_lot else "held_already",
        position,
        bounds,
        "lot" if is_below_lot else least.name,
    )


def _why_hold(asked: "AdviceQuestion", sizes: _Sizes) -> Reason | None:
    """Return the first rule that holds whatever the size; None where there is none."""
    forecast = asked.forecast
    rules: dict[Reason, bool] = {
        "halted": asked.gate.state == "halted",
        "stale": forecast.age_bars > 0,
        "uncalibrated": not forecast.is_calibrated,
        "flat": forecast.p50 == 0,
        "below_cost": abs(sizes.expected) <= asked.costs.round_trip,
        "not_enough_outcomes": not asked.record.is_enough,
        "unproven": not asked.record.is_proven,
    }
    return next((reason for reason in BEFORE_SIZE if rules[reason]), None)


def _told(
    asked: "AdviceQuestion",
    sizes: _Sizes,
    action: Action,
    reason: Reason,
    target: float | None,
    bounds: tuple[SizeBound, ...],
    bound_by: str,
) -> Advice:
    forecast, book = asked.forecast, asked.book
    price = forecast.reference_price
    stop, loss = _stop_of(asked, target, sizes.distance)
    most = min((bound.shares for bound in sizes.bounds), default=None)
    return Advice(
        action=action,
        reason=reason,
        quantity=None if target is None else abs(target - book.position),
        target_position=target,
        expected_return=sizes.expected,
        round_trip_cost=asked.costs.round_trip,
        whole_kelly=max(sizes.kelly, 0.0),
        bounds=bounds,
        bound_by=bound_by,
        target_price=None if price is None else price * (1.0 + sizes.expected),
        stop_loss=stop,
        loss_at_stop=loss,
        loss_budget=None if book.equity is None else asked.limits.stop_loss_budget * book.equity,
        deviation_per_year=sizes.deviation_per_year,
        excess=0.0 if most is None else max(abs(book.position) - most, 0.0),
    )


def _lost_at_stop(asked: "AdviceQuestion", distance: float) -> float:
    """Return what a sale at the stop loses from the price now, slippage and costs included, as a fraction of it."""
    return distance * (1.0 + asked.limits.stop_slippage) + asked.costs.round_trip


def _stop_of(asked: "AdviceQuestion", target: float | None, distance: float) -> tuple[float | None, float | None]:
    """Return stop and loss of what would be held; a position whose size is not known has a stop and no loss."""
    price = asked.forecast.reference_price
    if price is None or target == 0:
        return None, None
    sign = -1.0 if target is not None and target < 0 else 1.0
    loss = None if target is None else abs(target) * price * _lost_at_stop(asked, distance)
    return price * (1.0 - sign * distance), loss
