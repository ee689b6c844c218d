"""Several sources of one market: each is asked in its declared order, and one that fails does not stop the others."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from lake.clock import Clock
from lake.errors import SourceError
from lake.ingest.fetching import ingest_bars
from lake.market import Market
from lake.report import Report
from lake.sources import BarSource
from lake.store import Lake


def ingest_sources(lake: Lake, sources: Sequence[BarSource], clock: Clock, years: Collection[int] = ()) -> Report:
    """Append what every source of a market published, in the order of their priority; see `ingest_bars`.

    A source that cannot be asked is a warning of the report where another one could be: the others stand in for it.

    Raises
    ------
    SourceError
        If no source could be asked: the error of the first one.
    """
    reports: list[Report] = []
    errors: list[tuple[str, SourceError]] = []
    for source in sources:
        try:
            reports.append(ingest_bars(lake, source, clock, years))
        except SourceError as error:
            errors.append((source.name, error))
    if not reports:
        raise errors[0][1]
    if len(sources) == 1:
        return reports[0]
    failed = tuple(f"'{name}' was not asked to its end: {error}" for name, error in errors)
    return _together(reports).with_details(warnings=(*failed, *_too_late(sources[1:], lake.market)))


def _too_late(further: Sequence[BarSource], market: Market) -> Iterator[str]:
    """Name the sources that stand in after the forecasts of a session are decided."""
    for source in further:
        delay: timedelta = getattr(source, "delay", timedelta(0))
        if delay > market.decided_after:
            minutes = delay // timedelta(minutes=1)
            yield (
                f"'{source.name}' has the bars of a session {minutes} minutes after its close, and forecasts of this "
                f"market are decided {market.decision_delay} minutes after it: what stands in comes too late for them. "
                f"Set decision_delay: {minutes} in market.yaml."
            )


def _together(reports: Sequence[Report]) -> Report:
    """One report of several: what each added and warned of, the table as the last one left it."""
    whole = reports[-1].with_details(seconds=sum(each.seconds for each in reports))
    counts = {
        name: sum(each.details.get(name, 0) for each in reports)
        for name in ("corrected", "late", "doubled")
        if any(name in each.details for each in reports)
    }
    added = sum(each.added for each in reports)
    reasons = "; ".join(str(each.details["reason"]) for each in reports if "reason" in each.details)
    details = whole.details | counts
    details = details | {"reason": reasons} if not added else {k: v for k, v in details.items() if k != "reason"}
    warnings = tuple(warning for each in reports for warning in each.warnings)
    return replace(whole, added=added, skipped=not added, warnings=warnings, details=details)
