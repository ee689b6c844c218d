"""View model of risk: the switch, limits with how much of each is used, positions, value at risk, and alerts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serving.alerting import AlertRecord
from serving.pages import formats
from serving.risk import RiskReport, SwitchReading

MEANINGS = {
    "active": "Orders within the limits pass.",
    "reducing": "Only orders that lower a position pass.",
    "halted": "Strategies send nothing; a named person may close positions.",
}
P_LEAST = 0.05


@dataclass(frozen=True)
class SwitchView:
    """Who may trade now.

    Parameters
    ----------
    state, meaning
        Of everything, and what it lets through.
    problem
        Why the latch is not believed; empty where it is.
    restricted
        Scope, state, since, by and reason of each restriction.
    scopes
        Scopes that can be resumed.
    """

    state: str
    meaning: str
    problem: str
    restricted: tuple[tuple[str, ...], ...]
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class LimitLine:
    """One limit, as it is printed; `ratio` and `soft_ratio` are shares of the hard value, for the bar."""

    name: str
    used: str
    soft: str
    hard: str
    ratio: float | None
    soft_ratio: float
    state: str


@dataclass(frozen=True)
class TailRow:
    """Value at risk and expected shortfall of one book at one level, as they are printed."""

    book: str
    level: str
    value_at_risk: str
    expected_shortfall: str
    exceeded: str
    kupiec: str
    christoffersen: str
    acerbi: str
    verdict: str
    is_held: bool


@dataclass(frozen=True)
class RiskView:
    """Everything that stands on the report of one book."""

    book: str
    at: str
    limits: tuple[LimitLine, ...]
    positions: tuple[tuple[str, str], ...]
    sectors: tuple[tuple[str, str], ...]
    tails: tuple[TailRow, ...]


@dataclass(frozen=True)
class AlertLine:
    """One alert, as it is printed."""

    alert_id: str
    name: str
    severity: str
    state: str
    since: str
    summary: str
    delivered: str
    is_open: bool


def switch_view(found: SwitchReading) -> SwitchView:
    """Return the switch as the latch has it."""
    restricted = tuple(
        (str(each.scope), each.state, formats.instant(each.since), each.by, each.reason) for each in found.restrictions
    )
    scopes = tuple(dict.fromkeys(each[0] for each in restricted))
    if found.is_closed and "account:*" not in scopes:
        scopes = ("account:*", *scopes)
    return SwitchView(found.state, MEANINGS[found.state], found.problem, restricted, scopes)


def risk_view(found: RiskReport) -> RiskView:
    """Return a report with its numbers as text; a figure that a portfolio on paper does not have is a dash."""
    return RiskView(
        book=found.book,
        at=formats.instant(found.at),
        limits=tuple(_limit(each) for each in found.limits),
        positions=tuple((symbol, formats.signed(weight, 2)) for symbol, weight in found.weights.items()),
        sectors=tuple((name, formats.percent(share, 2)) for name, share in found.sectors.items()),
        tails=tuple(_tail(each) for each in found.tails),
    )


def alert_lines(records: Sequence[AlertRecord]) -> tuple[AlertLine, ...]:
    """Return alerts, those that last first."""
    return tuple(
        AlertLine(
            alert_id=each.alert.alert_id,
            name=each.alert.name,
            severity=each.alert.severity,
            state=f"{each.state} by {each.acknowledged_by}" if each.state == "acknowledged" else each.state,
            since=formats.instant(each.alert.started_at),
            summary=each.alert.summary,
            delivered="; ".join(
                f"{name}: {known.error or known.sent_state or 'not yet'}" for name, known in each.deliveries.items()
            )
            or "nowhere yet",
            is_open=each.state == "firing",
        )
        for each in records
    )


def _limit(use: Any) -> LimitLine:
    is_off = use.hard == float("inf")
    state = "not measured" if use.used is None else "within"
    if use.used is not None and use.used > use.soft:
        state = "above the hard value" if use.used > use.hard else "above the soft value"
    return LimitLine(
        name=use.name,
        used=formats.number(use.used, 3),
        soft="off" if is_off else f"{use.soft:g}",
        hard="off" if is_off else f"{use.hard:g}",
        ratio=None if use.ratio is None else min(use.ratio, 1.0),
        soft_ratio=1.0 if is_off or not use.hard else use.soft / use.hard,
        state="off" if is_off else state,
    )


def _tail(line: Any) -> TailRow:
    tested = [p for p in (line.kupiec_p, line.christoffersen_p, line.acerbi_szekely_p) if p is not None]
    is_held = bool(tested) and min(tested) >= P_LEAST
    return TailRow(
        book=line.book,
        level=f"{line.level * 100:.0f} %",
        value_at_risk=formats.percent(line.value_at_risk, 2),
        expected_shortfall=formats.percent(line.expected_shortfall, 2),
        exceeded=f"{line.exceedances} of {line.sessions:,}, expected {line.expected:.1f}"
        if tested
        else formats.UNKNOWN,
        kupiec=formats.number(line.kupiec_p, 2),
        christoffersen=formats.number(line.christoffersen_p, 2),
        acerbi=formats.number(line.acerbi_szekely_p, 2),
        verdict=("held" if is_held else "did not hold") if tested else "not enough sessions",
        is_held=is_held or not tested,
    )
