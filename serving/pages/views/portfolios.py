"""View models of the portfolios: all of them beside 1/N, and one with its weights, band, trades and reviews."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.api import PortfolioAnswer, PortfolioPosition, PortfolioReview, PortfolioSummary
from serving.pages import formats
from serving.pages.views.signs import sign_of

MOST_SHOWN = 60
"""Symbols in the table, the largest weight first; the others are counted."""


@dataclass(frozen=True)
class PortfolioLine:
    """One portfolio in the list."""

    name: str
    used: str
    volatility: str
    equal_volatility: str
    net: str
    net_sign: int
    equal_net: str
    cost: str
    evidence: str
    verdict: str
    fallback: str


@dataclass(frozen=True)
class PositionLine:
    """One symbol; the shares are parts of the width of a bar, the largest of the page one whole."""

    symbol: str
    weight: str
    weight_share: float
    equal: str
    equal_share: float
    target: str
    trade: str
    trade_sign: int
    risk: str
    band: str
    expected: str
    view: str


@dataclass(frozen=True)
class ReviewLine:
    """One review."""

    session: str
    trigger: str
    used: str
    bought: str
    sold: str
    cost: str
    gain: str
    reason: str


@dataclass(frozen=True)
class PortfolioView:
    """The page of one portfolio.

    Parameters
    ----------
    fallback
        Sentence about the fallback in force; empty where the declared method is.
    facts
        Names and values, as they are printed.
    more
        How many symbols have no line.
    """

    line: PortfolioLine
    reason: str
    fallback: str
    facts: tuple[tuple[str, str], ...]
    declared: tuple[tuple[str, str], ...]
    positions: tuple[PositionLine, ...]
    more: int
    has_views: bool
    left_out: str
    reviews: tuple[ReviewLine, ...]


def portfolio_lines(summaries: Sequence[PortfolioSummary]) -> tuple[PortfolioLine, ...]:
    """Return the list, in its order."""
    return tuple(_line(summary) for summary in summaries)


def portfolio_view(answer: PortfolioAnswer) -> PortfolioView:
    """Return the page of one portfolio."""
    summary = answer.summary
    most = max((max(each.weight, each.equal_weight) for each in answer.positions), default=0.0) or 1.0
    lines = tuple(_position(each, most) for each in answer.positions)
    return PortfolioView(
        line=_line(summary),
        reason=answer.reason,
        fallback=_fallback(summary),
        facts=_facts(answer),
        declared=tuple(_declared(answer.declaration)),
        positions=lines[:MOST_SHOWN],
        more=max(len(lines) - MOST_SHOWN, 0),
        has_views=answer.views > 0,
        left_out=", ".join(answer.left_out),
        reviews=tuple(_review(each) for each in answer.reviews),
    )


def _line(summary: PortfolioSummary) -> PortfolioLine:
    gain = summary.net_return - summary.equal_net_return
    return PortfolioLine(
        name=summary.portfolio,
        used=formats.words(summary.used),
        volatility=formats.percent(summary.volatility),
        equal_volatility=formats.percent(summary.equal_volatility),
        net=formats.signed(summary.net_return),
        net_sign=sign_of(gain),
        equal_net=formats.signed(summary.equal_net_return),
        cost=formats.percent(summary.cost, 2),
        evidence=formats.number(summary.e_value, 3),
        verdict=summary.verdict,
        fallback=_fallback(summary),
    )


def _fallback(summary: PortfolioSummary) -> str:
    if summary.fallback_reason is None:
        return ""
    return (
        f"{formats.words(summary.method)} gave no weights, {formats.words(summary.used)} stands in for it: "
        f"{summary.fallback_reason}."
    )


def _facts(answer: PortfolioAnswer) -> tuple[tuple[str, str], ...]:
    summary = answer.summary
    facts = [
        ("weights from the close of", formats.instant(answer.event_time)),
        ("volatility per year, of what is held", formats.percent(summary.volatility)),
        ("the same of 1/N", formats.percent(summary.equal_volatility)),
        ("net since the first purchase", formats.signed(summary.net_return)),
        ("the same of 1/N", formats.signed(summary.equal_net_return)),
        ("cost of all trades", formats.percent(summary.cost, 2)),
        ("evidence (e-value)", f"{formats.number(summary.e_value, 3)} of {answer.evidence_needed:g} needed"),
        ("judged", f"{formats.count(summary.sessions, 'bar')}: {summary.verdict}"),
        ("bought and sold at this close", f"{formats.percent(answer.bought)} and {formats.percent(answer.sold)}"),
        ("cost of these trades", formats.percent(answer.cost, 4)),
        ("gain expected of them until the next review", formats.percent(answer.expected_gain, 4)),
        ("next review by the calendar", formats.day(answer.next_review)),
    ]
    if answer.market_weights is not None:
        facts.append(("market weights", answer.market_weights))
        facts.append(("views", formats.count(answer.views, "forecast")))
    return tuple(facts)


def _declared(declaration: dict[str, Any]) -> "list[tuple[str, str]]":
    flat = {name: value for name, value in declaration.items() if name not in {"name", "rebalancing"}}
    flat |= declaration.get("rebalancing", {})
    return [(formats.words(name), formats.words(str(value))) for name, value in flat.items()]


def _position(position: PortfolioPosition, most: float) -> PositionLine:
    low, high = position.band_low, position.band_high
    trade = 0.0 if abs(position.trade) < 5e-6 else position.trade  # noqa: PLR2004 - half of the last digit shown
    return PositionLine(
        symbol=position.symbol,
        weight=formats.percent(position.weight, 2),
        weight_share=position.weight / most,
        equal=formats.percent(position.equal_weight, 2),
        equal_share=position.equal_weight / most,
        target=formats.percent(position.target, 2),
        trade=formats.signed(trade, 2) if trade else "none",
        trade_sign=sign_of(trade, digits=2),
        risk=formats.percent(position.risk_share),
        band=formats.UNKNOWN if low is None or high is None else f"{formats.percent(low)} … {formats.percent(high)}",
        expected=formats.signed(position.expected_return, 2),
        view=formats.signed(position.view_return, 2),
    )


def _review(review: PortfolioReview) -> ReviewLine:
    used = formats.words(review.used)
    return ReviewLine(
        session=formats.day(review.event_time),
        trigger=review.trigger,
        used=used if review.fallback_reason is None else f"{used} (fallback: {review.fallback_reason})",
        bought=formats.percent(review.bought),
        sold=formats.percent(review.sold),
        cost=formats.percent(review.cost, 3),
        gain=formats.percent(review.expected_gain, 3),
        reason=review.reason,
    )
