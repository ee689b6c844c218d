"""View model of the operations: checks that fail, runs, freshness, drift, time to answer, the endpoint's own word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from serving.api import HistoryDrift, HistoryLatency, StatusAnswer
from serving.monitoring.run_history import RunHistory, RunSummary
from serving.pages import formats


@dataclass(frozen=True)
class TableState:
    """A table as its log describes it.

    Parameters
    ----------
    is_due_each_close
        Whether it has a row of every close once that was worked on.
    last, closes_old
        Its newest event, and closes of the market since then; None where it has no rows.
    """

    name: str
    layer: str
    meaning: str
    is_due_each_close: bool
    rows: int = 0
    version: int | None = None
    last: datetime | None = None
    closes_old: int | None = None


@dataclass(frozen=True)
class FreshnessLine:
    """How fresh one table is, as it is printed."""

    name: str
    layer: str
    rows: str
    version: str
    last: str
    age: str
    is_stale: bool
    meaning: str


@dataclass(frozen=True)
class CheckLine:
    """A check whose last result is a failure, and what to do."""

    table: str
    check: str
    severity: str
    at: str
    found: str
    remedy: str


@dataclass(frozen=True)
class ChecksView:
    """Checks that fail, the last good run, and what waits.

    Parameters
    ----------
    checks
        Number of checks that have a result.
    last_good, last_bad
        Job and end of the newest run that succeeded, and of one that failed since; the second is empty where none did.
    queue
        Job, state and begin of each run that has not ended.
    """

    checks: str
    failing: tuple[CheckLine, ...]
    last_good: str
    last_bad: str
    queue: tuple[str, ...]


@dataclass(frozen=True)
class DriftLine:
    """One finding of drift."""

    subject: str
    aspect: str
    statistic: str
    adjusted: str
    verdict: str
    is_drifted: bool
    session: str
    method: str


@dataclass(frozen=True)
class LatencyLine:
    """How long the answers of one kind took."""

    kind: str
    forecasts: str
    median: str
    p95: str
    last: str


@dataclass(frozen=True)
class ServiceState:
    """What the endpoint says of itself."""

    market_now: str
    models: tuple[str, ...]
    problem: str
    refused: tuple[str, ...]


def freshness_lines(states: Sequence[TableState]) -> tuple[FreshnessLine, ...]:
    """Return tables in the order of the data's flow."""
    return tuple(
        FreshnessLine(
            name=state.name,
            layer=state.layer,
            rows=f"{state.rows:,}",
            version=formats.UNKNOWN if state.version is None else str(state.version),
            last=formats.instant(state.last),
            age=formats.UNKNOWN if state.closes_old is None else str(state.closes_old),
            is_stale=state.is_due_each_close and bool(state.closes_old),
            meaning=state.meaning,
        )
        for state in states
    )


def checks_view(found: RunHistory, shown_by: str) -> ChecksView:
    """Return the state of checks and runs.

    Parameters
    ----------
    shown_by
        Command whose page shows a run: the next step of a check that names none.
    """
    return ChecksView(
        checks=formats.count(found.checks, "check"),
        failing=tuple(
            CheckLine(
                table=each.table,
                check=formats.words(each.check),
                severity=each.severity,
                at=formats.instant(each.at),
                found=each.found,
                remedy=each.remedy or f"`{shown_by}` shows the run.",
            )
            for each in found.failing
        ),
        last_good=_ran(found.last_good) if found.last_good else "none yet",
        last_bad=_ran(found.last_bad) if found.last_bad else "",
        queue=tuple(f"{_ran(each)}, {formats.words(each.state)}" for each in found.queue),
    )


def drift_lines(findings: Sequence[HistoryDrift]) -> tuple[DriftLine, ...]:
    """Return findings, those that drifted first, then by their adjusted p-value."""
    ordered = sorted(findings, key=lambda each: (not each.is_drifted, each.adjusted_p_value or 1.0, each.subject))
    return tuple(
        DriftLine(
            subject=each.subject,
            aspect=each.aspect,
            statistic=formats.number(each.statistic, 3),
            adjusted=formats.number(each.adjusted_p_value, 2),
            verdict="drifted" if each.is_drifted else "no drift",
            is_drifted=each.is_drifted,
            session=formats.day(each.event_time),
            method=each.method,
        )
        for each in ordered
    )


def latency_lines(found: Sequence[HistoryLatency]) -> tuple[LatencyLine, ...]:
    """Return the times to answer by kind, in milliseconds with three significant digits."""
    return tuple(
        LatencyLine(
            kind=each.kind,
            forecasts=f"{each.forecasts:,}",
            median=f"{formats.number(each.median_ms, 3)} ms",
            p95=f"{formats.number(each.p95_ms, 3)} ms",
            last=formats.instant(each.last_made_at),
        )
        for each in found
    )


def service_state(status: StatusAnswer) -> ServiceState:
    """Return the state of the endpoint."""
    return ServiceState(
        market_now=formats.instant(status.market_now),
        models=tuple(f"{model.name} {model.version}" for model in status.models),
        problem=status.problem or "",
        refused=tuple(f"{each.model} {each.version}: {each.reason}" for each in status.refused),
    )


def _ran(run: RunSummary) -> str:
    return f"{run.job}, {formats.instant(run.at)}"
