"""Checks of the forecast log: unreadable SQLite files, and quarantined forecasts without a decision."""

import math
from collections.abc import Iterator
from contextlib import closing

from dagster_project.checks.health.finding import HealthFinding
from dagster_project.plurals import counted
from lake.settings import Settings

MOST_ROWS = 1_000_000
"""Waiting forecasts of one file that are verified: what a day at 1 M forecasts leaves."""
DRAIN, LIST = "quantlake forecasts drain", "quantlake forecasts quarantine list"


def files(configured: Settings, *, is_deep: bool = False) -> list[HealthFinding]:
    """Look at the log of each process that answers, at the quarantine, and at damaged files that were moved aside."""
    from serving.forecast_log import EXAMINE_SECONDS, examine_files

    looked = examine_files(configured, math.inf if is_deep else EXAMINE_SECONDS)
    found = [
        HealthFinding("damaged forecast log", path, f"it {what}. {remedy}", DRAIN) for path, what, remedy in looked
    ]
    return [*found, *_waiting(configured)] if is_deep and not found else found


def _waiting(configured: Settings) -> Iterator[HealthFinding]:
    """Verify the forecasts that wait for the lake, as the next drain will; nothing is changed."""
    from serving.forecast_log import log_paths, open_log, verify_logged, waiting_rows

    for path in log_paths(configured):
        with closing(open_log(path)) as connection:
            faults = [
                (row.sequence, verdict.fault)
                for row in waiting_rows(connection, MOST_ROWS)
                if (verdict := verify_logged(row)).fault
            ]
        if faults:
            sequence, fault = faults[0]
            meaning = (
                f"{counted(len(faults), 'waiting forecast')} cannot be verified, the first with sequence {sequence}: "
                f"{fault}. The next drain puts them into quarantine and lets the others in"
            )
            yield HealthFinding("damaged forecast", path, meaning, DRAIN)


def quarantined(configured: Settings) -> list[HealthFinding]:
    """Look at the forecasts that the drain did not let into the lake."""
    from serving.forecast_log import quarantine_path, quarantined_forecasts

    path = quarantine_path(configured)
    waiting = len(quarantined_forecasts(configured, "waiting")) if path.exists() else 0
    if not waiting:
        return []
    meaning = f"{waiting} logged forecasts did not verify at the drain and wait for a decision; no other one waits"
    return [HealthFinding("quarantined forecasts", path, meaning, LIST, is_damage=False)]
