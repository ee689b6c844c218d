"""Blocking table checks: a table that fails its expectations stops everything downstream of it."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.plurals import counted
from dagster_project.reports import plain, rows_as_table
from dagster_project.resources import Platform
from feature_repo.catalog import GROUPS, spec_of
from lake.quality import RuleKind, kinds_of

if TYPE_CHECKING:
    from lake.assessment import Disagreement
    from lake.quality import QualityReport
    from lake.spec import TableSpec

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
    "feature_importance",
)


BESIDE = {"raw_actions": "raw_bars"}
"""Tables that are written together with another one's asset, which they are checked with; not every market has them."""

CHECKS: Mapping[RuleKind, tuple[str, str]] = MappingProxyType(
    {
        "nulls": ("no_nulls", "Every value that {table} requires is known."),
        "bounds": ("within_bounds", "Numbers of {table} lie within the bounds that its columns declare."),
        "names": ("allowed_names", "Columns of names in {table} hold declared names only."),
        "order": ("columns_in_order", "Columns of {table} stand in their declared order: {order}."),
        "keys": ("one_row_per_key", "No key of {table} is stored twice for one known_time."),
    }
)
"""Name and meaning of the check of each kind of rule; Dagster keeps the history of a check under its name."""


def _rules_hold(table: str) -> dg.AssetChecksDefinition:
    """The checks of one table, a kind of rule each, in one step: the table is looked at once."""
    asset, spec = BESIDE.get(table, table), spec_of(table)
    prefix = "" if asset == table else f"{table}_"
    names = {prefix + CHECKS[kind][0]: kind for kind in kinds_of(spec)}

    @dg.multi_asset_check(
        name=f"{table}_expectations_hold",
        specs=[
            dg.AssetCheckSpec(name, asset=asset, blocking=True, description=_meaning(kind, spec))
            for name, kind in names.items()
        ],
    )
    def checks(platform: Platform) -> Iterator[dg.AssetCheckResult]:
        from feature_repo.materialize.expectations import check_new_rows

        if table in BESIDE and not platform.lake.exists(spec):
            for name in names:
                yield dg.AssetCheckResult(
                    check_name=name, asset_key=asset, passed=True, description=f"no source of this market fills {table}"
                )
            return
        checked = check_new_rows(platform.lake, spec, platform.clock.now())
        for name, kind in names.items():
            yield _result(asset, name, checked.report.of_kind(kind), checked.scope)

    return checks


def _meaning(kind: RuleKind, spec: "TableSpec") -> str:
    order = ", ".join(f"{low} <= {high}" for low, high in spec.ordered)
    return CHECKS[kind][1].format(table=spec.name, order=order)


def _result(asset: str, name: str, found: "QualityReport", scope: str) -> dg.AssetCheckResult:
    """What was found for one kind of rule: the sentence, failures first, and of the rules that hold their number."""
    failures = [
        {"rule": each.rule, "rows": each.unexpected, "first": each.examples[0], "query": each.query}
        for each in found.failed
    ]
    held, rules = len(found.findings) - len(found.failed), len(found.findings)
    metadata: dict[str, Any] = {"failures": rows_as_table(failures)} if failures else {}
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=asset,
        passed=found.success,
        description=found.sentence() or scope,
        metadata=metadata | {"rules_that_hold": f"{held} of {rules}", "rows": found.rows, "scope": scope},
    )


def table_checks(tables: Iterable[str] = (*GATED, *BESIDE)) -> list[dg.AssetChecksDefinition]:
    """Blocking checks of each gated table, and of each table beside one: a check per kind of rule that it declares."""
    return [_rules_hold(table) for table in tables]


@dg.asset_check(asset="quarantine", description="Rows refused so far; they never block the good ones.")
def few_rows_refused(platform: Platform) -> dg.AssetCheckResult:
    """Warn when more than one raw row in a hundred was refused."""
    from lake.tables import QUARANTINE, RAW_BARS

    refused, raw = (platform.lake.report(spec).rows for spec in (QUARANTINE, RAW_BARS))
    said, is_fine = f"{refused:,} of {counted(raw, 'raw row')} refused", refused <= raw / 100
    remedy = platform.lake.market.command("quality")
    return dg.AssetCheckResult(
        passed=is_fine,
        severity=dg.AssetCheckSeverity.WARN,
        description=said if is_fine else f"{said}, more than 1 in 100. Next: `{remedy}` lists the reasons.",
        metadata={"refused": refused, "raw_rows": raw},
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
        description=_disagreement(found, platform.lake.market.command("quality --open")),
        metadata=counts | {"widest": dg.MetadataValue.json(plain(found.examples))},
    )


def _disagreement(found: "Disagreement", remedy: str) -> str:
    """Say on how many returns sources differ; where that is often, the widest of them and the next command."""
    if not found.compared:
        return "no return has two sources"
    said = f"sources disagree on {found.disagreeing:,} of {counted(found.compared, 'return')} ({found.share:.1%})"
    if not found.is_high:
        return said
    widest = found.examples[0]
    row = f"{widest['symbol']} {widest['event_time']:%Y-%m-%d %H:%M} UTC by {widest['spread_bp']:.0f} bp"
    return f"{said}, most on {row}. Next: `{remedy}` lists the widest."
