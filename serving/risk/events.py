"""Changes of the switch in the tables: each one becomes a row of `risk_events` and a row of the audit trail."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.disk import file_lock
from lake.store import Lake
from lake.tables import RISK_EVENTS
from serving import audit
from serving.risk.latch import FOLDER, LOCK, read_latch, write_latch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.settings import Settings

AUDITED = {"halt": "risk.halt", "trip": "risk.trip", "resume": "risk.resume"}
LOOKED_BACK = 1_000
"""Audit rows about risk that are searched for one that was written before its event left the latch."""


def settle(configured: "Settings") -> int:
    """Bring the changes that the latch holds into the tables; returns how many.

    A process that is killed in between repeats it: a row of `risk_events` is keyed by the event, and a row of the audit
    trail that names the event is not written twice.

    Raises
    ------
    QuantlakeError
        If a table cannot be written; the events stay in the latch, which stays in force.
    """
    waiting = read_latch(configured.home).events
    if not waiting:
        return 0
    lake = Lake.open(configured)
    with file_lock(lake.root / ".risk_settling.lock", "The settling of risk events"):
        write_events(lake, waiting)
        rows = audit.newest(lake, LOOKED_BACK, "risk.")
        audited = "\n".join(row["details"] for row in rows)
        for event in waiting:
            if event["kind"] in AUDITED and event["event_id"] not in audited:
                details = {name: event[name] for name in ("event_id", "scope", "state_before", "state_after", "reason")}
                audit.record(lake, who=event["who"], what=AUDITED[event["kind"]], details=details)
    _forget(configured, {event["event_id"] for event in waiting})
    return len(waiting)


def write_events(lake: Lake, events: "Sequence[dict[str, Any]]") -> None:
    """Write events, as `switch.event_of` makes them, into the table; those that are there stay."""
    rows = [
        event | {name: datetime.fromisoformat(event["event_time"]) for name in ("event_time", "known_time")}
        for event in events
    ]
    lake.merge(RISK_EVENTS, pl.DataFrame(rows, schema=RISK_EVENTS.schema))


def newest_events(lake: Lake, rows: int = 50) -> list[dict[str, Any]]:
    """Return the newest events, the newest first; none where there is no table yet."""
    if not lake.exists(RISK_EVENTS):
        return []
    return lake.read(RISK_EVENTS).sort("event_time", descending=True).head(rows).to_dicts()


def _forget(configured: "Settings", settled: set[str]) -> None:
    """Take settled events out of the latch; one that cannot be believed stays as it is."""
    with file_lock(configured.home / FOLDER / LOCK, "The switch"):
        found = read_latch(configured.home)
        if not found.is_closed:
            left = [event for event in found.events if event["event_id"] not in settled]
            write_latch(configured.home, found.restrictions, left)
