"""View model of the strategies: what is in force in each regime, why, and how the weights came about."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.api import HistoryChoiceCost, HistoryRegime, HistorySelection
from serving.pages import formats

DECISIONS = 30
"""Decisions listed."""


@dataclass(frozen=True)
class StrategyWeight:
    """A strategy of the pool in one regime; the shares are parts of the width of a bar."""

    name: str
    weight: str
    weight_share: float
    probability: str
    probability_share: float


@dataclass(frozen=True)
class RegimeChoice:
    """What is in force in one regime.

    Parameters
    ----------
    evidence
        The e-value against its threshold, in words.
    evidence_share
        Logarithm of the e-value as a part of the threshold's, 0 to 1.
    cost
        What the runner-up earned above the weights in force so far: what it costs to be wrong.
    """

    regime: str
    is_now: bool
    chosen: str
    runner_up: str
    reason: str
    evidence: str
    evidence_share: float
    confidence: str
    sessions: str
    decided: str
    cost: str
    weights: tuple[StrategyWeight, ...]


@dataclass(frozen=True)
class DecisionLine:
    """One decision, as it is printed."""

    session: str
    regime: str
    chosen: str
    runner_up: str
    evidence: str
    confidence: str
    sessions: str
    known: str


@dataclass(frozen=True)
class StrategiesView:
    """The page of the strategies.

    Parameters
    ----------
    reviews
        Numbers of the chart as they are printed, the newest review first.
    chart
        Probability of being best over time, of the regime that is now in force, for the script of the page.
    """

    choices: tuple[RegimeChoice, ...]
    reviews: tuple[tuple[str, ...], ...]
    decisions: tuple[DecisionLine, ...]
    chart: dict[str, Any]


def strategies_view(
    selections: Sequence[HistorySelection],
    regimes: Sequence[HistoryRegime],
    threshold: float,
    costs: Sequence[HistoryChoiceCost],
) -> StrategiesView:
    """Return the page.

    Parameters
    ----------
    selections
        Every decision that was known, the oldest first.
    regimes
        Regime of the market at each close, the oldest first.
    threshold
        E-value from which on weights may differ from equal ones.
    costs
        Of the decisions that are in force.
    """
    of_regime = {cost.regime: cost for cost in costs}
    now = regimes[-1].regime if regimes else None
    ordered = sorted(in_force(selections), key=lambda selection: (selection.regime != now, selection.regime))
    of_now = [selection for selection in selections if selection.regime == now]
    return StrategiesView(
        choices=tuple(_choice(each, now, threshold, of_regime.get(each.regime)) for each in ordered),
        reviews=tuple(
            (formats.day(each.event_time), *(formats.percent(each.probabilities.get(name)) for name in _pool(of_now)))
            for each in reversed(of_now)
        ),
        decisions=tuple(_decision(selection) for selection in reversed(selections[-DECISIONS:])),
        chart=_chart(of_now, regimes),
    )


def in_force(selections: Sequence[HistorySelection]) -> list[HistorySelection]:
    """Return the newest decision of each regime among some in the order of time."""
    return list({selection.regime: selection for selection in selections}.values())


def _choice(
    selection: HistorySelection, now: str | None, threshold: float, cost: HistoryChoiceCost | None
) -> RegimeChoice:
    log_share = math.log(max(selection.e_value, 1.0)) / math.log(threshold)
    weights = tuple(
        StrategyWeight(
            name=name,
            weight=formats.percent(weight),
            weight_share=weight,
            probability=formats.percent(selection.probabilities[name]),
            probability_share=selection.probabilities[name],
        )
        for name, weight in selection.weights.items()
    )
    return RegimeChoice(
        regime=formats.words(selection.regime),
        is_now=selection.regime == now,
        chosen=formats.words(selection.chosen),
        runner_up=formats.words(selection.runner_up or formats.UNKNOWN),
        reason=selection.reason,
        evidence=f"{formats.number(selection.e_value, 3)} of {formats.number(threshold, 3)} needed",
        evidence_share=min(log_share, 1.0),
        confidence=formats.percent(selection.confidence, 0),
        sessions=f"{selection.sessions:,}",
        decided=formats.instant(selection.event_time),
        cost=_cost(cost),
        weights=weights,
    )


def _cost(cost: HistoryChoiceCost | None) -> str:
    if cost is None:
        return formats.UNKNOWN
    if cost.cost_bps is None or cost.low is None or cost.high is None:
        return f"not enough sessions (n = {cost.sessions:,})"
    ends = f"{formats.number(cost.low, 3)} … {formats.number(cost.high, 3)}"
    chance = ", chance alone could explain it" if cost.low <= 0 <= cost.high else ""
    return f"{formats.number(cost.cost_bps, 3)} bp a session ({ends}, n = {cost.sessions:,}){chance}"


def _decision(selection: HistorySelection) -> DecisionLine:
    return DecisionLine(
        session=formats.day(selection.event_time),
        regime=formats.words(selection.regime),
        chosen=formats.words(selection.chosen),
        runner_up=formats.words(selection.runner_up or formats.UNKNOWN),
        evidence=formats.number(selection.e_value, 3),
        confidence=formats.percent(selection.confidence, 0),
        sessions=f"{selection.sessions:,}",
        known=formats.instant(selection.known_time),
    )


def _pool(selections: Sequence[HistorySelection]) -> list[str]:
    return list(dict.fromkeys(name for selection in selections for name in selection.probabilities))


def _chart(selections: Sequence[HistorySelection], regimes: Sequence[HistoryRegime]) -> dict[str, Any]:
    return {
        "times": [int(selection.event_time.timestamp()) for selection in selections],
        "series": [
            {"name": formats.words(name), "values": [selection.probabilities.get(name) for selection in selections]}
            for name in _pool(selections)
        ],
        "regime": formats.words(regimes[-1].regime) if regimes else "",
    }
