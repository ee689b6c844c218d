"""Check a table against its spec: what is new of it by the rules as expressions, all of it by Great Expectations.

A wide table is judged in one pass, and Great Expectations told the outcome.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import polars as pl

from lake import quality
from lake.clock import SystemClock
from lake.disk import digest_of_sources
from lake.quality import (
    CheckPass,
    ExpectationResult,
    QualityReport,
    broken_rules,
    check_frame,
    check_table,
    is_outside,
    last_pass,
    note_pass,
    rows_that_break,
    rules_of,
    unchecked_rows,
)
from lake.spec import Column, TableSpec
from lake.store import Lake

CHECK = "expectations"
"""Under this name passes are kept."""
FEW = 30
"""Bounded columns up to which each is an expectation of its own: a hundred of them take a quarter of a minute."""
OUTSIDE = Column(
    "outside_its_bounds",
    pl.String(),
    "",
    "every bounded column is within its bounds",
    allowed=("",),
)


@dataclass(frozen=True)
class CheckedTable:
    """What a check of a table found, and how much of the table it had to look at.

    Parameters
    ----------
    report
        Findings; its rows are those that were looked at.
    scope
        In one sentence: unchanged, only new rows, or the whole table.
    """

    report: QualityReport
    scope: str


def check_new_rows(lake: Lake, spec: TableSpec, at: datetime) -> CheckedTable:
    """Check a table as it was known at an instant; of one that passed before, only what is new since.

    The whole table is checked the first time, when a rule or the code that judges it changed, when the table's history
    does not tell what is new, and when a new row breaks a rule, for the findings with their examples. Each rule speaks
    of one row, or of the rows of one key, so a table without a broken rule gets one from rows that are new only.

    Raises
    ------
    DamagedTableError
        If the bytes of a file changed since they were written, whether its rows are looked at or not.
    """
    recipe, newest = _recipe(spec), lake.version(spec)
    last = last_pass(lake, CHECK, spec, recipe)
    rows = None if last is None else unchecked_rows(lake, spec, last, at, newest)
    if last is None or rows is None or broken_rules(spec, rows):
        report, passed_at = check_features(lake, spec, at), SystemClock().now()
        checked = CheckedTable(report, "the only row" if report.rows == 1 else f"all {report.rows:,} rows")
    else:
        passed_at = last.passed_at if rows.is_empty() else SystemClock().now()
        checked = _passed(spec, rows, last, at)
    if checked.report.success:
        note_pass(lake, CHECK, spec, CheckPass(recipe, newest, at, passed_at))
    return checked


def check_features(lake: Lake, spec: TableSpec, at: datetime) -> QualityReport:
    """Check a whole table as it was known at an instant.

    Nulls, bounds, the order of columns and one row per key are checked for every table. Of one with many bounded
    columns, the bounds are one expectation; where it fails, each bound that is broken is a finding of its own.
    """
    bounded = [column for column in spec.columns if column.minimum is not None or column.maximum is not None]
    if len(bounded) <= FEW:
        return check_table(lake, spec, at)
    known = lake.read(spec, where=pl.col("known_time") <= at)
    rows = known.filter(pl.col("known_time") == pl.col("known_time").max().over(list(spec.key)))
    outside = pl.coalesce([pl.when(is_outside(column)).then(pl.lit(column.name)) for column in bounded])
    narrow = _narrow(spec)
    report = check_frame(narrow, rows.with_columns(outside.fill_null("").alias(OUTSIDE.name)).select(narrow.names), at)
    return replace(report, findings=_with_each_bound(spec, rows, narrow, report.findings))


def _passed(spec: TableSpec, rows: pl.DataFrame, last: CheckPass, at: datetime) -> CheckedTable:
    findings = tuple(ExpectationResult.met(rule) for rule in rules_of(spec))
    scope = f"unchanged since {last}" if rows.is_empty() else f"{_rows_are(rows.height)} new since {last}"
    return CheckedTable(QualityReport(spec.name, rows.height, at, findings), scope)


def _rows_are(count: int) -> str:
    return "1 row is" if count == 1 else f"{count:,} rows are"


def _recipe(spec: TableSpec) -> str:
    """Identity of the rules of a table: what it declares, and the code that judges it."""
    sources = [*Path(quality.__file__).parent.glob("*.py"), Path(__file__)]
    return digest_of_sources(sources, repr(spec), version("great_expectations"))


def _narrow(spec: TableSpec) -> TableSpec:
    """The table with one column in place of those of which nothing but their bounds is to be checked."""
    kept = tuple(c for c in spec.columns if not c.nullable or c.positive or c.allowed or c.name in spec.key)
    return TableSpec(spec.name, spec.layer, spec.meaning, spec.key, (*kept, OUTSIDE), ordered=spec.ordered)


def _with_each_bound(
    spec: TableSpec, rows: pl.DataFrame, narrow: TableSpec, findings: Iterable[ExpectationResult]
) -> tuple[ExpectationResult, ...]:
    """The findings of the narrow table, its one on bounds as what it stands for: all that hold, or each broken one."""
    kept: list[ExpectationResult] = []
    bounds: list[ExpectationResult] = []
    for finding in findings:
        (bounds if finding.columns == (OUTSIDE.name,) else kept).append(finding)
    if all(finding.success for finding in bounds):
        held = [replace(f, kind="bounds", rule=OUTSIDE.meaning) for f in bounds if f.kind == "names"]
        return (*kept, *held)
    broken = [
        rule for rule in broken_rules(spec, rows) if rule.kind == "bounds" and rule.columns[0] not in narrow.names
    ]
    return (*kept, *(ExpectationResult.met(rule).broken_by(rows_that_break(spec, rule, rows)) for rule in broken))
