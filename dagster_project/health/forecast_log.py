"""The forecast log: files that SQLite cannot read, and forecasts that did not verify and wait for a decision."""

import math

from dagster_project.health.finding import Finding
from lake.settings import Settings

DRAIN, LIST = "quantlake forecasts drain", "quantlake forecasts quarantine list"


def files(configured: Settings, *, is_deep: bool = False) -> list[Finding]:
    """Look at the log of each process that answers, at the quarantine, and at damaged files that were moved aside."""
    from serving.stored.damage import LOOK_SECONDS, examine

    looked = examine(configured, math.inf if is_deep else LOOK_SECONDS)
    return [Finding("damaged forecast log", path, f"it {what}. {remedy}", DRAIN) for path, what, remedy in looked]


def quarantined(configured: Settings) -> list[Finding]:
    """Look at the forecasts that the drain did not let into the lake."""
    from serving.stored.quarantine import listing, quarantine_path

    path = quarantine_path(configured)
    waiting = len(listing(configured, "waiting")) if path.exists() else 0
    if not waiting:
        return []
    meaning = f"{waiting} logged forecasts did not verify at the drain and wait for a decision; no other one waits"
    return [Finding("quarantined forecasts", path, meaning, LIST, is_damage=False)]
