"""The decision engine: votes, rules and limits to one decision. Pure, and the same bits from the same values."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from lake.errors import ConfigError
from lake.execution import Order
from serving.desk.rules import RULES_VERSION, DeskRules, Effect, Ruling, rulings
from serving.desk.situation import DeskSituation
from serving.desk.votes import CountedVote, Vote

DecidedAction = Literal["buy", "sell", "hold"]
ROUNDING = 1e-9


@dataclass(frozen=True)
class DeskLimits:
    """Bounds of what an account holds; fractions are of its equity.

    Parameters
    ----------
    largest_position
        Largest absolute position in one symbol.
    largest_gross
        Largest sum of absolute positions that is aimed at; all targets are shortened alike.
    least_trade
        Trades below it are not made, so that no costs are paid for small changes of a vote; a position that is to be
        closed is.
    lot_shares
        Positions are whole multiples of it.
    """

    largest_position: float = 0.20
    largest_gross: float = 1.0
    least_trade: float = 0.001
    lot_shares: float = 1.0

    def __post_init__(self) -> None:
        """Refuse limits that nothing keeps."""
        if min(self.largest_position, self.largest_gross, self.lot_shares) <= 0 or self.least_trade < 0:
            raise ConfigError(f"Limits of the desk are {self}; each is above 0, least_trade 0 or more.")


@dataclass(frozen=True)
class DeskDecision:
    """What was decided about one symbol.

    Parameters
    ----------
    decision_id, symbol
        Which one, and about what.
    wanted
        Share of equity that the weighted votes ask for.
    target
        Share of equity after rules and limits, before lots.
    equal_weight_target
        Share of equity that 1/N would hold.
    quantity
        Shares to trade, signed; 0 to hold.
    decided_by
        ``votes``, or the rule or limit that had the last word: ``rule:stop``, ``limit:largest_position``.
    reason
        Why, in a sentence.
    votes
        Every vote, those of the rules too, with its weight and who overruled it.
    order
        Order that follows from it; None to hold.
    """

    decision_id: str
    symbol: str
    wanted: float
    target: float
    equal_weight_target: float
    quantity: float
    decided_by: str
    reason: str
    votes: tuple[CountedVote, ...]
    order: Order | None

    @property
    def action(self) -> DecidedAction:
        """Buy, sell or hold."""
        return "hold" if self.quantity == 0 else "buy" if self.quantity > 0 else "sell"


class _Bound(NamedTuple):
    target: float
    decided_by: str
    reason: str
    effect: Effect = "silent"


def decide(
    votes: Sequence[Vote],
    book: DeskSituation,
    rules: DeskRules,
    limits: DeskLimits,
    weights: Mapping[str, float],
) -> DeskDecision:
    """Return what to do about one symbol.

    The target is the sum of weight times target over the votes that have not expired; what has no weight, or expired,
    is cash, and is not shared among the others. Then the rule of the highest rank that applies has its way, then the
    limits. Every vote is in the decision, with who overruled it.

    Parameters
    ----------
    votes
        Of strategies and of advice on this symbol, each source once.
    book
        The symbol in the account, and what is known of it.
    rules, limits
        As declared.
    weights
        Evidence weight by source; a source that is missing has none.

    Raises
    ------
    ConfigError
        If a source votes twice, a weight is negative or not a number, or there is no price or equity.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
    >>> close = datetime(2013, 1, 2, 21, tzinfo=UTC)
    >>> votes = [
    ...     Vote("strategy:up", "strategy", 0.10, 0.6, close + timedelta(days=1), "1", "Its median is above zero."),
    ...     Vote("strategy:down", "strategy", -0.05, 0.6, close + timedelta(days=1), "1", "Its median is below zero."),
    ... ]
    >>> now = DeskSituation("paper", "AAA", close, close, 0.0, 0.0, 50.0, 100_000.0, 0.15, 0.04)
    >>> found = decide(votes, now, DeskRules(), DeskLimits(), {"strategy:up": 0.75, "strategy:down": 0.25})
    >>> found.action, found.quantity, round(found.wanted, 4)
    ('buy', 125.0, 0.0625)
    >>> [(each.vote.source, each.overruled_by) for each in found.votes if each.overruled_by]
    [('strategy:down', 'votes of strategy:up')]
    """
    _check(votes, book, weights)
    counted = [CountedVote(each, float(weights.get(each.source, 0.0))) for each in votes]
    wanted = math.fsum(each.weight * (each.vote.target or 0.0) for each in counted if not _is_expired(each.vote, book))
    ruled = rulings(rules, book)
    bound = _limited(_ruled(wanted, ruled, book), book, limits)
    quantity = 0.0 if bound.effect == "hold" else _shares(bound.target, book, limits)
    bound, quantity = _worthwhile(bound, quantity, book, limits)
    return DeskDecision(
        decision_id=book.decision_id,
        symbol=book.symbol,
        wanted=wanted,
        target=bound.target,
        equal_weight_target=book.equal_weight_target,
        quantity=quantity,
        decided_by=bound.decided_by,
        reason=bound.reason,
        votes=tuple(_judged(counted, ruled, wanted, bound, quantity, book, limits)),
        order=_order(quantity, bound, book),
    )


def _check(votes: Sequence[Vote], book: DeskSituation, weights: Mapping[str, float]) -> None:
    sources = [each.source for each in votes]
    if len(set(sources)) != len(sources):
        raise ConfigError(f"A source votes twice on {book.symbol}: {', '.join(sorted(sources))}. Pass each once.")
    if any(not (math.isfinite(weight) and weight >= 0) for weight in weights.values()):
        raise ConfigError(f"Evidence weights are {dict(weights)}; each is a number of 0 or more.")
    if not (math.isfinite(book.price) and book.price > 0 and math.isfinite(book.equity)):
        raise ConfigError(f"{book.symbol} has the price {book.price} and the account the equity {book.equity}.")


def _is_expired(vote: Vote, book: DeskSituation) -> bool:
    return vote.expires_at <= book.decided_at


def _ruled(wanted: float, ruled: list[Ruling], book: DeskSituation) -> _Bound:
    first = next((each for each in ruled if each.effect != "silent"), None)
    if first is None:
        return _Bound(wanted, "votes", f"The weighted votes ask for {wanted:+.2%} of equity.")
    target = _of_effect(first.effect, wanted, book)
    if first.effect == "reduce" and math.isclose(target, wanted, abs_tol=ROUNDING):
        return _Bound(wanted, "votes", f"The weighted votes ask for {wanted:+.2%} of equity.", first.effect)
    return _Bound(target, f"rule:{first.name}", first.reason, first.effect)


def _of_effect(effect: Effect, wanted: float, book: DeskSituation) -> float:
    """Return the share of equity that a rule leaves of what is wanted."""
    held = book.held_share
    if effect == "hold":
        return held
    if effect == "flat":
        return 0.0
    return min(max(wanted, min(held, 0.0)), max(held, 0.0))


def _limited(bound: _Bound, book: DeskSituation, limits: DeskLimits) -> _Bound:
    if bound.effect in {"hold", "flat"}:
        return bound
    if book.gross_wanted > limits.largest_gross:
        share = limits.largest_gross / book.gross_wanted
        reason = f"Votes ask for {book.gross_wanted:.1%} of equity in all, {limits.largest_gross:.1%} is the limit."
        bound = bound._replace(target=bound.target * share, decided_by="limit:largest_gross", reason=reason)
    if abs(bound.target) > limits.largest_position + ROUNDING:
        reason = f"A position of {bound.target:+.1%} of equity is above the limit of {limits.largest_position:.1%}."
        target = math.copysign(limits.largest_position, bound.target)
        bound = bound._replace(target=target, decided_by="limit:largest_position", reason=reason)
    return bound


def _shares(target: float, book: DeskSituation, limits: DeskLimits) -> float:
    """Return the shares to trade to a target in whole lots, rounded towards no position."""
    if book.equity <= 0:
        return -book.held
    whole = target * book.equity / book.price / limits.lot_shares
    aimed = math.trunc(whole + math.copysign(ROUNDING, whole)) * limits.lot_shares
    return aimed - book.held


def _worthwhile(bound: _Bound, quantity: float, book: DeskSituation, limits: DeskLimits) -> tuple[_Bound, float]:
    """Leave out trades that are too small, but for those that close a position."""
    is_closing = quantity != 0 and math.isclose(quantity, -book.held)
    least = limits.least_trade * max(book.equity, 0.0)
    if quantity == 0 or is_closing or abs(quantity) * book.price >= least:
        return bound, quantity
    reason = f"A trade of {abs(quantity) * book.price:,.0f} is below {least:,.0f}, the least that is traded."
    return bound._replace(decided_by="limit:least_trade", reason=reason), 0.0


def _order(quantity: float, bound: _Bound, book: DeskSituation) -> Order | None:
    if quantity == 0:
        return None
    return Order(
        book.decision_id,
        book.account,
        book.symbol,
        quantity,
        "market" if book.has_open else "on_close",
        is_reduce_only=bound.effect in {"flat", "reduce"},
        decided_at=book.close,
    )


def _judged(
    counted: list[CountedVote],
    ruled: list[Ruling],
    wanted: float,
    bound: _Bound,
    quantity: float,
    book: DeskSituation,
    limits: DeskLimits,
) -> list[CountedVote]:
    """Say of every vote who overruled it, and add the votes of the rules."""
    done, asked = _sign(quantity), _side(wanted, book, limits)
    winners = [
        each.vote.source
        for each in counted
        if each.weight > 0 and not _is_expired(each.vote, book) and _side_of(each.vote, book, limits) == done
    ]
    judged = []
    for each in counted:
        side = _side_of(each.vote, book, limits)
        if _is_expired(each.vote, book):
            by = "its expiry"
        elif side == done:
            by = ""
        elif side == asked and bound.decided_by != "votes":
            by = bound.decided_by
        else:
            by = f"votes of {', '.join(winners)}" if winners else "the sum of the votes"
        judged.append(replace(each, overruled_by=by))
    return judged + _of_rules(ruled, wanted, book)


def _of_rules(ruled: list[Ruling], wanted: float, book: DeskSituation) -> list[CountedVote]:
    """Return the rules as votes: one that applies and is outranked was overruled too."""
    first = next((each for each in ruled if each.effect != "silent"), None)
    found = []
    for each in ruled:
        target = None if each.effect == "silent" else _of_effect(each.effect, wanted, book)
        vote = Vote(f"rule:{each.name}", "rule", target, 1.0, book.decided_at, RULES_VERSION, each.reason)
        is_outranked = first is not None and each.effect != "silent" and each.name != first.name
        is_other = is_outranked and target != _of_effect(first.effect, wanted, book) if first else False
        found.append(CountedVote(vote, 0.0, f"rule:{first.name}" if is_other and first else ""))
    return found


def _side_of(vote: Vote, book: DeskSituation, limits: DeskLimits) -> int:
    return _side(vote.target or 0.0, book, limits)


def _side(target: float, book: DeskSituation, limits: DeskLimits) -> int:
    """Return 1 where a target asks to buy, -1 to sell, 0 where the difference is not worth a trade."""
    difference = target - book.held_share
    if abs(difference) < max(limits.least_trade, limits.lot_shares * book.price / max(book.equity, ROUNDING)):
        return -_sign(book.held) if target == 0 and book.held != 0 else 0
    return _sign(difference)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)
