"""Blocking look-ahead checks: rows of a table follow from what was known then; and where subjects are declared."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.plurals import counted
from dagster_project.resources import Platform

if TYPE_CHECKING:
    from feature_repo.leaks import LeakCheck

DECLARED = ("feature_repo.leaks:subjects", "training.data.leak_subjects:training_subjects")
"""Where subjects are declared: every registered feature, label and regime, and the split and the scaler of training."""


def leak_checks(tables: Iterable[str]) -> list[dg.AssetChecksDefinition]:
    """One blocking check per table of features, labels or regimes."""
    return [_nothing_looks_ahead(table) for table in tables]


def _nothing_looks_ahead(table: str) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=table,
        name="nothing_looks_ahead",
        blocking=True,
        description=f"Rows of {table} follow from the bars known then, whatever came after: a sample of symbols.",
    )
    def check(platform: Platform) -> dg.AssetCheckResult:
        from feature_repo.leaks import check_stored_anew

        checked = check_stored_anew(platform.lake, table, platform.clock.now())
        if isinstance(checked, str):
            return dg.AssetCheckResult(passed=True, description=checked)
        return _result(checked, platform.lake.market.command("leaks"))

    return check


def _result(checked: "LeakCheck", remedy: str) -> dg.AssetCheckResult:
    from feature_repo.leaks import as_values

    leaks = [column for column in as_values([checked]) if not column["passed"]]
    return dg.AssetCheckResult(
        passed=checked.passed,
        description=_sentence(leaks, len(checked.columns), remedy) if leaks else None,
        metadata={
            "leaks": dg.MetadataValue.json(leaks),
            "columns": len(checked.columns),
            "bars": checked.rows,
            "seconds": round(checked.seconds, 3),
        },
    )


def _sentence(leaks: list[dict[str, Any]], columns: int, remedy: str) -> str:
    """Say how many columns look ahead, with the first row of the first, and the next command."""
    column, (leak, *_) = leaks[0]["column"], leaks[0]["leaks"]
    row = ", ".join(f"{name} {value}" for name, value in leak["example"].items())
    return (
        f"{len(leaks)} of {counted(columns, 'column')}: {column} differs from what was known then in "
        f"{counted(leak['rows'], 'row')}, the first {row}. Next: `{remedy}`."
    )
