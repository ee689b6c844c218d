"""Blocking table checks: a table that fails its expectations stops everything downstream of it."""

from collections.abc import Iterable

import dagster as dg

from dagster_project.reports import plain
from dagster_project.resources import Platform
from feature_repo.catalog import GROUPS

CAUSAL = (*(group.table.name for group in GROUPS), "labels", "regimes")
"""Tables whose rows must follow from what was known then."""
GATED = (
    "raw_bars",
    "bars",
    "actions",
    "symbols",
    "universe",
    "raw_macro",
    "macro",
    *CAUSAL,
    "model_windows",
    "forecasts",
    "outcomes",
)


BESIDE = {"raw_actions": "raw_bars"}
"""Tables that are written together with another one's asset, which they are checked with; not every market has them."""


def _expectations_hold(table: str) -> dg.AssetChecksDefinition:
    asset = BESIDE.get(table, table)
    name = "expectations_hold" if asset == table else f"{table}_expectations_hold"

    @dg.asset_check(asset=asset, name=name, blocking=True, description=f"Suite derived from the spec of {table}.")
    def check(platform: Platform) -> dg.AssetCheckResult:
        from feature_repo.catalog import spec_of
        from feature_repo.materialize.expectations import check_new_rows

        spec = spec_of(table)
        if table in BESIDE and not platform.lake.exists(spec):
            return dg.AssetCheckResult(passed=True, metadata={"reason": f"no source of this market fills {table}"})
        checked = check_new_rows(platform.lake, spec, platform.clock.now())
        return dg.AssetCheckResult(
            passed=checked.report.success,
            description=checked.scope,
            metadata={"findings": dg.MetadataValue.json(plain(checked.report.results)), "scope": checked.scope},
        )

    return check


def table_checks(tables: Iterable[str] = (*GATED, *BESIDE)) -> list[dg.AssetChecksDefinition]:
    """One blocking check per gated table, and per table beside one."""
    return [_expectations_hold(table) for table in tables]


@dg.asset_check(asset="quarantine", description="Rows refused so far; they never block the good ones.")
def few_rows_refused(platform: Platform) -> dg.AssetCheckResult:
    """Warn when more than one raw row in a hundred was refused."""
    from lake.tables import QUARANTINE, RAW_BARS

    refused, raw = (platform.lake.report(spec).rows for spec in (QUARANTINE, RAW_BARS))
    return dg.AssetCheckResult(
        passed=refused <= raw / 100, severity=dg.AssetCheckSeverity.WARN, metadata={"refused": refused, "raw_rows": raw}
    )


@dg.asset_check(asset="bars", description="How often the sources of the market disagree; one source agrees always.")
def sources_agree(platform: Platform) -> dg.AssetCheckResult:
    """Warn when sources disagree on more than two returns in a hundred of the newest sessions."""
    from lake.assessment import disagreement

    found = disagreement(platform.lake, platform.clock.now())
    counts = {"compared": found.compared, "disagreeing": found.disagreeing, "share": found.share}
    return dg.AssetCheckResult(
        passed=not found.is_high,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=counts | {"widest": dg.MetadataValue.json(plain(found.examples))},
    )
