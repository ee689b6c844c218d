"""Results of checks and runs as Dagster keeps them under the home; read from its SQLite files, without Dagster.

Only the columns that tell a result are read, and the members of the stored event that hold its sentence and severity.
A test compares what is found with what Dagster itself tells of the same home.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from lake.errors import DamagedFileError, NotReadyError

if TYPE_CHECKING:
    from lake.settings import Settings

BUSY_SECONDS = 2.0
NEXT = " Next: "
"""What stands in the sentence of a check before what to do."""
Severity = Literal["error", "warning"]
SEVERITIES: dict[str, Severity] = {"AssetCheckSeverity.ERROR": "error", "AssetCheckSeverity.WARN": "warning"}
QUEUED = ("NOT_STARTED", "QUEUED", "STARTING", "STARTED")
LAST_RESULTS = """
SELECT asset_key, check_name, execution_status, evaluation_event, evaluation_event_timestamp
FROM asset_check_executions
WHERE id IN (
    SELECT max(id) FROM asset_check_executions WHERE execution_status IN ('SUCCEEDED', 'FAILED')
    GROUP BY asset_key, check_name
)
ORDER BY evaluation_event_timestamp DESC
"""
RUNS = "SELECT run_id, pipeline_name, status, create_timestamp, end_time FROM runs"
MADE = """
SELECT asset_key, last_materialization_timestamp AS made FROM asset_keys
WHERE made IS NOT NULL AND (wipe_timestamp IS NULL OR wipe_timestamp < made)
"""
UNNAMED = "__"
"""How Dagster's names of runs begin that belong to no job of ours, e.g. of an asset that was made by hand."""


@dataclass(frozen=True)
class FailingCheck:
    """A check whose last result is a failure.

    Parameters
    ----------
    table, check
        Asset that it checks, and its name.
    severity
        ``error`` for one that stops what follows from the table, ``warning`` for one that does not.
    at
        Wall-clock time of the result.
    found
        What was found, as a sentence.
    remedy
        What to do next, as a sentence with its command; empty where the check says none.
    """

    table: str
    check: str
    severity: Severity
    at: datetime
    found: str
    remedy: str


@dataclass(frozen=True)
class RunSummary:
    """One run: its id, its job, its state as Dagster names it, and when that began, by the wall clock."""

    run_id: str
    job: str
    state: str
    at: datetime


@dataclass(frozen=True)
class RunHistory:
    """What is known of checks and runs now.

    Parameters
    ----------
    checks
        How many checks have a result.
    failing
        Those whose last result is a failure: errors first, then the newest.
    last_good
        The newest run that succeeded; None before the first.
    last_bad
        The newest run that failed, where it was begun after `last_good`; else None.
    queue
        Runs that wait or are under way, the oldest first.
    checked
        Assets that have a check with a result, in the order of their names.
    made
        When each asset was last made, by the wall clock; one that was never made, or was wiped since, is not in it.
    succeeded
        When the newest run of each job that succeeded ended, by the wall clock; a job without one is not in it.
    """

    checks: int
    failing: tuple[FailingCheck, ...]
    last_good: RunSummary | None
    last_bad: RunSummary | None
    queue: tuple[RunSummary, ...]
    checked: tuple[str, ...]
    made: Mapping[str, datetime]
    succeeded: Mapping[str, datetime]


def run_history(settings: "Settings") -> RunHistory:
    """Return the last result of every check, and the state of the runs.

    Raises
    ------
    NotReadyError
        If nothing was run in this home.
    DamagedFileError
        If the files cannot be read.
    """
    history = settings.dagster / "history"
    runs, events = history / "runs.db", history / "runs" / "index.db"
    if not (runs.is_file() and events.is_file()):
        command = settings.declared_market.first_run
        raise NotReadyError(f"Nothing was run in this home, so no check has a result. `{command}` runs them.")
    try:
        results, started, made = _rows(events, LAST_RESULTS), _rows(runs, RUNS), _rows(events, MADE)
    except sqlite3.Error as error:
        doctor = settings.declared_market.command("doctor")
        raise DamagedFileError(
            f"The run history in {history} cannot be read: {error}. `{doctor}` says what is damaged and what to do."
        ) from error
    checks = [_check(row) for row in results]
    failing = [check for check in checks if check is not None]
    good, bad, queue = _sorted_runs(started)
    return RunHistory(
        checks=len(checks),
        failing=tuple(sorted(failing, key=lambda check: check.severity != "error")),
        last_good=good,
        last_bad=bad,
        queue=queue,
        checked=tuple(sorted({_name(row) for row in results})),
        made={_name(row): datetime.fromisoformat(row["made"]).replace(tzinfo=UTC) for row in made},
        succeeded=_succeeded(started),
    )


def _rows(path: Path, query: str) -> list[sqlite3.Row]:
    address = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS)) as database:
        database.row_factory = sqlite3.Row
        return database.execute(query).fetchall()


def _name(row: sqlite3.Row) -> str:
    return "/".join(json.loads(row["asset_key"]))


def _succeeded(rows: list[sqlite3.Row]) -> dict[str, datetime]:
    """Return the end of each job's newest run that succeeded."""
    good = [_run(row) for row in rows if row["status"] == "SUCCESS" and not row["pipeline_name"].startswith(UNNAMED)]
    return {run.job: run.at for run in sorted(good, key=lambda run: run.at)}


def _check(row: sqlite3.Row) -> FailingCheck | None:
    """Return a check that failed; None for one that passed."""
    if row["execution_status"] != "FAILED":
        return None
    event = json.loads(row["evaluation_event"])
    told: dict[str, Any] = event["dagster_event"]["event_specific_data"]
    found, _, remedy = (told.get("description") or "").partition(NEXT)
    return FailingCheck(
        table=_name(row),
        check=row["check_name"],
        severity=SEVERITIES[told["severity"]["__enum__"]],
        at=datetime.fromtimestamp(event["timestamp"], UTC),
        found=found,
        remedy=remedy,
    )


def _sorted_runs(
    rows: list[sqlite3.Row],
) -> tuple[RunSummary | None, RunSummary | None, tuple[RunSummary, ...]]:
    """Return the newest good run, a bad one that was begun after it, and those that have not ended."""
    ordered = sorted(rows, key=lambda row: str(row["create_timestamp"]))
    good = next((row for row in reversed(ordered) if row["status"] == "SUCCESS"), None)
    bad = next((row for row in reversed(ordered) if row["status"] == "FAILURE"), None)
    if good is not None and bad is not None and ordered.index(bad) < ordered.index(good):
        bad = None
    queue = tuple(_run(row) for row in ordered if row["status"] in QUEUED)
    return None if good is None else _run(good), None if bad is None else _run(bad), queue


def _run(row: sqlite3.Row) -> RunSummary:
    created = datetime.fromisoformat(row["create_timestamp"]).replace(tzinfo=UTC)
    at = created if row["end_time"] is None else datetime.fromtimestamp(row["end_time"], UTC)
    return RunSummary(row["run_id"], row["pipeline_name"], row["status"].lower(), at)
