"""Health checks of everything under the home: the checks of `quantlake doctor`.

A check is a value. Another part of the platform adds its own with one line in `CHECKS`: a function that takes the
settings and returns findings, each with the file, what it means and the exact next command. A check raises nothing.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from dagster_project.checks.health import (
    access,
    backups,
    databases,
    embedder,
    forecast_log,
    leftovers,
    market_clock,
    models,
    online,
    tables,
)
from dagster_project.checks.health.aside import set_aside
from dagster_project.checks.health.finding import Check, HealthFinding
from lake.settings import Settings

CHECKS: tuple[Check, ...] = (
    Check("tables", tables.tables, partial(tables.tables, is_deep=True)),
    Check("digests", tables.undigested),
    Check("pins", tables.pins),
    Check("audit trail", tables.audit_trail),
    Check("market clock", market_clock.market_clock),
    Check("forecast log", forecast_log.files, partial(forecast_log.files, is_deep=True)),
    Check("quarantine", forecast_log.quarantined),
    Check("registry", databases.registry, partial(databases.registry, is_deep=True)),
    Check("models", models.deployment, models.every_version),
    Check("training", models.training),
    Check("Redis", online.redis_files),
    Check("online store", online.generation),
    Check("embedder", embedder.embedder),
    Check("keys", access.key_files),
    Check("permissions", access.permissions),
    Check("Dagster", databases.dagster, partial(databases.dagster, is_deep=True)),
    Check("leftovers", leftovers.leftovers),
    Check("backups", backups.backups),
)


@dataclass(frozen=True)
class Examined:
    """Findings and duration of one check."""

    name: str
    findings: tuple[HealthFinding, ...]
    seconds: float


def examine(configured: Settings, *, is_deep: bool = False, checks: Iterable[Check] | None = None) -> list[Examined]:
    """Run every check of the home in turn; a finding of one stops no other.

    Parameters
    ----------
    is_deep
        Read every byte: each data file and each model file is hashed, each database checked page by page.
    checks
        What to look at, by default `CHECKS`.

    Returns
    -------
    list[Examined]
        In the order of the checks. A check that fails is a finding of its own.
    """
    done = []
    for check in CHECKS if checks is None else checks:
        started = time.perf_counter()
        look = check.look_deep if is_deep and check.look_deep is not None else check.look
        try:
            findings = tuple(_in_market(finding, configured) for finding in look(configured))
        except Exception as error:  # noqa: BLE001 - whatever a damaged home makes a check raise, the others still look
            meaning = f"the check '{check.name}' could not look: {type(error).__name__}: {str(error).splitlines()[:1]}"
            findings = (HealthFinding("not looked at", configured.home, meaning, "quantlake doctor --deep"),)
        done.append(Examined(check.name, findings, time.perf_counter() - started))
    return done


def _in_market(finding: HealthFinding, configured: Settings) -> HealthFinding:
    """Return a finding whose remedy, where it is a verb of `quantlake`, names the market of the home."""
    verb = finding.remedy.removeprefix("quantlake ")
    return finding if verb == finding.remedy else replace(finding, remedy=configured.declared_market.command(verb))


__all__ = ["CHECKS", "Check", "Examined", "HealthFinding", "examine", "set_aside"]
