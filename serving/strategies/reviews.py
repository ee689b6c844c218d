"""Reviews that are due, as rows of `selections`, with what following them would have earned."""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from lake.calendars import last_close
from lake.clock import Clock
from lake.ledger import TrialLedger
from lake.report import Report
from lake.store import Lake
from lake.tables import SELECTIONS, STRATEGY_RETURNS
from serving.strategies.comparison import compare, draw
from serving.strategies.equal_volatility import at_equal_volatility
from serving.strategies.paper import paper_returns_of
from serving.strategies.selection import KNOWN_REGIMES, SelectionDecision, SelectionRule, select

if TYPE_CHECKING:
    from lake.settings import Settings


def update_selections(lake: Lake, settings: "Settings", clock: Clock, rule: SelectionRule | None = None) -> Report:
    """Append the decisions of every review up to the market's now, and show what following them would have earned.

    The decisions are worked out from `strategy_returns` each time, so living through history day by day appends the
    same rows as one jump.

    Returns
    -------
    Report
        Of `selections`; skipped when no review is due. ``details`` hold the decisions in force now and their reasons,
        the figures of `serving.strategies.comparison.compare` and the path of its picture.

    Raises
    ------
    NotReadyError
        If no session of paper returns is known yet.
    """
    from lake.sources import caveats_of

    started = time.perf_counter()
    rule = rule or SelectionRule()
    delay, calendar = lake.market.decided_after, lake.market.grid
    declared = paper_returns_of(lake.read_as_of(STRATEGY_RETURNS, clock.now()), calendar, delay)
    returns = at_equal_volatility(declared, rule.cost_bps)
    now = last_close(clock.now() - delay, calendar) or clock.now()
    found = select(returns, now, rule, KNOWN_REGIMES)
    rows = decision_rows(found.decisions, returns.strategies, delay)
    report = lake.merge_unstored(SELECTIONS, rows)
    if report.skipped:
        return report.with_details(seconds=time.perf_counter() - started, reason="no review is due since the last one")
    ledger = TrialLedger(lake, clock.now(), table_versions=lake.versions([STRATEGY_RETURNS]))
    comparison = compare(returns, now, rule, KNOWN_REGIMES, lake.market.grid, ledger=ledger)
    caveats = caveats_of(settings.source_name, lake.market, lake, clock.now())
    latest = [decision for decision in found.decisions if decision.session == found.decisions[-1].session]
    return report.with_details(
        seconds=time.perf_counter() - started,
        decisions=[_shown(decision) for decision in latest],
        reasons=[f"{decision.regime}: {decision.reason}" for decision in latest],
        comparison=comparison.figures,
        picture=draw(comparison, settings.reports / "selection.png", caveats),
    )


def decision_rows(
    decisions: Sequence[SelectionDecision], strategies: Sequence[str], decided_after: timedelta = timedelta(0)
) -> pl.DataFrame:
    """Decisions as rows of `selections`; each is known when its session is decided."""
    rows = [
        {
            "regime": decision.regime,
            "event_time": decision.session,
            "known_time": decision.session + decided_after,
            "selected_strategy": decision.selected,
            "strategies": list(strategies),
            "weights": list(decision.weights),
            "probabilities": list(decision.probabilities),
            "confidence": decision.confidence,
            "e_value": decision.e_value,
            "sessions": decision.seen,
            "reason": decision.reason,
        }
        for decision in decisions
    ]
    return pl.DataFrame(rows, schema=SELECTIONS.schema)


def _shown(decision: SelectionDecision) -> dict[str, object]:
    return {
        "regime": decision.regime,
        "selected": decision.selected,
        "confidence": decision.confidence,
        "e_value": decision.e_value,
        "sessions": decision.seen,
    }
