"""Warnings where a table ends before the last close that is due by the market's now.

Dagster's own freshness policies ask when an asset was materialised, by the wall clock. What an analyst needs to know is
whether the newest close is in: in a market that stands still it is, however long ago its tables were written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import MappingProxyType
from typing import Any

import dagster as dg

from dagster_project.plurals import counted
from dagster_project.resources import Platform

CHECK = "up_to_date"
NAMED = 5
"""Symbols that a sentence names."""


@dataclass(frozen=True)
class TableFreshness:
    """How far a table reaches, beside how far it should by the market's now.

    Parameters
    ----------
    table
        Name of the table or store.
    newest
        Event time of its newest row; None where it has none.
    due
        The newest close that is decided by the market's now; None before the first.
    behind
        Closes after `newest` up to `due`; 0 where it has no row.
    missing
        Symbols with a bar at the close before and none at the newest one.
    remedy
        The command that brings it up to date.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> newest, due = (datetime(2012, 12, day, 21, tzinfo=UTC) for day in (27, 31))
    >>> print(TableFreshness("bars", newest, due, behind=2).sentence())
    bars ends at 2012-12-27 21:00 UTC, 2 closes before the last one due, 2012-12-31 21:00 UTC. Next: `quantlake update`.
    >>> print(TableFreshness("bars", due, due, behind=0).sentence())
    newest 2012-12-31 21:00 UTC, the last close due
    """

    table: str
    newest: datetime | None
    due: datetime | None
    behind: int
    missing: tuple[str, ...] = ()
    remedy: str = "quantlake update"

    @property
    def is_current(self) -> bool:
        """Whether nothing is missing that the market has decided."""
        return self.due is None or (self.newest is not None and self.newest >= self.due and not self.missing)

    @property
    def _next(self) -> str:
        return f"Next: `{self.remedy}`."

    def sentence(self) -> str:
        """Say where the table ends; of one that is behind, what is due and the next command."""
        if self.due is None:
            return "no close is due yet"
        due = f"{self.due:%Y-%m-%d %H:%M} UTC"
        if self.newest is None:
            return f"{self.table} has no row, and the last close due is {due}. {self._next}"
        if self.newest < self.due:
            ends = f"{self.table} ends at {self.newest:%Y-%m-%d %H:%M} UTC"
            return f"{ends}, {counted(self.behind, 'close')} before the last one due, {due}. {self._next}"
        if self.missing:
            more = f" and {len(self.missing) - NAMED:,} more" if len(self.missing) > NAMED else ""
            names = ", ".join(self.missing[:NAMED]) + more
            lacks = f"{self.table} lacks {counted(len(self.missing), 'symbol')}"
            return f"{lacks} at {due}, the last close due: {names}. {self._next}"
        return f"newest {self.newest:%Y-%m-%d %H:%M} UTC, the last close due"


def freshness(platform: Platform, table: str) -> TableFreshness:
    """Compare the newest row of a table with the last close that is decided by the market's now."""
    from lake.calendars import count_closes, last_close

    market, newest = platform.lake.market, NEWEST[table](platform)
    due = last_close(platform.clock.now() - market.decided_after, market.grid)
    behind = 0 if due is None or newest is None or newest >= due else count_closes(newest, due, market.grid)
    is_in = due is not None and newest is not None and newest >= due
    missing = _missing(platform, due) if table == "bars" and is_in else ()
    return TableFreshness(table, newest, due, behind, missing, market.command("update"))


def freshness_checks() -> list[dg.AssetChecksDefinition]:
    """One warning per table that an answer rests on; none of them blocks."""
    return [_up_to_date(table) for table in NEWEST]


def _up_to_date(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table, name=CHECK, description=f"The newest row of {table} is of the last close due by the market's now."
    )
    def check(platform: Platform) -> dg.AssetCheckResult:
        found = freshness(platform, table)
        times = {"newest": found.newest, "due": found.due, "market_now": platform.clock.now()}
        counts: dict[str, Any] = {"closes_behind": found.behind, "symbols_missing": len(found.missing)}
        return dg.AssetCheckResult(
            passed=found.is_current,
            severity=dg.AssetCheckSeverity.WARN,
            description=found.sentence(),
            metadata=counts | {name: dg.MetadataValue.timestamp(at) for name, at in times.items() if at is not None},
        )

    return check


def _missing(platform: Platform, close: datetime | None) -> tuple[str, ...]:
    from lake.ingest import missing_bars

    return () if close is None else tuple(missing_bars(platform.lake, close) or ())


def _stored(table: str, platform: Platform) -> datetime | None:
    from feature_repo.catalog import spec_of

    return platform.lake.last_event(spec_of(table))


def _served(platform: Platform) -> datetime | None:
    from feature_repo.retrieval import newest_online

    return newest_online(platform.settings)


NEWEST: Mapping[str, Callable[[Platform], datetime | None]] = MappingProxyType(
    {name: partial(_stored, name) for name in ("bars", "features_technical", "model_windows", "forecasts")}
    | {"online_store": _served}
)
"""What an answer rests on, in flow order, and how the event time of its newest row is found."""
