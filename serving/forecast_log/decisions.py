"""Decisions about a forecast: release from quarantine, or withdrawal from every computation.

Each decision is in the audit trail before it takes effect, and a decision that was cut off is completed by doing it
again.
"""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import ConflictError, NotReadyError, SchemaError, UnknownNameError
from lake.store import UNVERIFIED, WITHDRAWN
from lake.tables import FORECAST_DECISIONS, FORECASTS
from serving import audit
from serving.forecast_log import quarantine
from serving.forecast_log.draining import merge
from serving.forecast_log.log_files import SET_APART, log_paths, open_log
from serving.forecast_log.verifying import RowVerdict, verify_logged

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

FORCE = "`--force --reason ...` releases it as unverified"


@dataclass(frozen=True)
class Released:
    """A forecast that left the quarantine for the lake.

    Parameters
    ----------
    is_verified
        Whether it fits its seal after all; one that does not is flagged in `forecast_decisions` for good.
    """

    forecast_id: str
    is_verified: bool


def release(
    lake: "Lake", configured: "Settings", number: int, *, by: str, reason: str = "", force: bool = False
) -> Released:
    """Verify a forecast in quarantine again and bring it into the lake.

    Parameters
    ----------
    number
        Of its entry in the quarantine.
    force
        Release it although it does not fit its seal. It is flagged as unverified, and no replay counts it as proven.

    Raises
    ------
    UnknownNameError
        If there is no such entry.
    SchemaError
        If it does not fit the table, which no decision can mend, or does not verify and is not forced.
    ConflictError
        If the lake holds another row of the same id.
    NotReadyError
        If it was withdrawn before.
    """
    entry = quarantine.find(configured, number)
    if entry.state == "withdrawn":
        raise NotReadyError(f"Forecast {number} of the quarantine was withdrawn by {entry.decided_by}. It stays out.")
    verdict = verify_logged(entry.logged)
    if verdict.row is None:
        raise SchemaError(
            f"Forecast {number} of the quarantine cannot be released: {verdict.fault}. Nothing can be computed from "
            f"it. `quantlake forecasts quarantine withdraw {number}` closes it."
        )
    if verdict.fault and not (force and reason):
        raise SchemaError(f"Forecast {number} of the quarantine does not verify: {verdict.fault}. {FORCE}.")
    forecast_id = str(verdict.row["forecast_id"])
    details = {"quarantine": number, "forecast_id": forecast_id, "is_verified": not verdict.fault, "reason": reason}
    audit.record(lake, who=by, what="forecast.release", details=details)
    if verdict.fault:
        _decide(lake, forecast_id, UNVERIFIED, reason=f"{verdict.fault}; {reason}", by=by)
    try:
        merge(lake, [RowVerdict(verdict.row, verdict.receipt, "")])
    except ConflictError as error:
        raise ConflictError(
            f"Forecast {number} of the quarantine contradicts what the lake holds: {error} If the stored row is the "
            f"wrong one, `quantlake forecasts withdraw {forecast_id}` takes it out of everything computed."
        ) from error
    quarantine.decide(configured, number, "released", by=by, note=reason)
    return Released(forecast_id, not verdict.fault)


def close(lake: "Lake", configured: "Settings", number: int, *, by: str, reason: str) -> None:
    """Withdraw a forecast that is in quarantine: it never comes into the lake; its bytes stay in the quarantine."""
    entry = quarantine.find(configured, number)
    if entry.state == "released":
        raise NotReadyError(
            f"Forecast {number} of the quarantine is in the lake already. `quantlake forecasts withdraw "
            f"{entry.logged.forecast_id}` takes it out of everything computed."
        )
    audit.record(lake, who=by, what="forecast.withdraw", details={"quarantine": number, "reason": reason})
    quarantine.decide(configured, number, "withdrawn", by=by, note=reason)


def withdraw(lake: "Lake", configured: "Settings", forecast_id: str, *, by: str, reason: str) -> None:
    """Exclude a drained forecast from every later computation; the row itself stays.

    Raises
    ------
    UnknownNameError
        If the lake holds no forecast of that id.
    """
    is_it = pl.col("forecast_id") == forecast_id
    if not lake.exists(FORECASTS) or not lake.scan_all(FORECASTS).filter(is_it).head(1).collect().height:
        raise UnknownNameError("forecast in the lake", forecast_id, [entry.forecast_id for entry in listing(lake)])
    audit.record(lake, who=by, what="forecast.withdraw", details={"forecast_id": forecast_id, "reason": reason})
    _decide(lake, forecast_id, WITHDRAWN, reason=reason, by=by)
    for path in log_paths(configured):
        with closing(open_log(path)) as connection, connection:
            connection.execute("UPDATE forecasts SET is_in_lake = ? WHERE forecast_id = ?", (SET_APART, forecast_id))


@dataclass(frozen=True)
class QuarantineDecision:
    """One decision about a forecast, as `forecast_decisions` has it."""

    forecast_id: str
    decision: str
    at: datetime
    reason: str
    who: str


def listing(lake: "Lake") -> list[QuarantineDecision]:
    """Every decision, the oldest first."""
    if not lake.exists(FORECAST_DECISIONS):
        return []
    rows = lake.read(FORECAST_DECISIONS).sort("event_time", "forecast_id")
    return [
        QuarantineDecision(*row)
        for row in rows.select("forecast_id", "decision", "event_time", "reason", "who").iter_rows()
    ]


def _decide(lake: "Lake", forecast_id: str, decision: str, *, reason: str, by: str) -> None:
    """Record a decision; idempotent."""
    if any((stored.forecast_id, stored.decision) == (forecast_id, decision) for stored in listing(lake)):
        return
    now = datetime.now(UTC)
    row = (forecast_id, decision, now, now, reason, by)
    lake.merge(FORECAST_DECISIONS, pl.DataFrame([row], schema=FORECAST_DECISIONS.schema, orient="row"))
