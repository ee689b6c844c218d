"""Great Expectations suites derived from the table specs, and what they find in a table."""

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import polars as pl

from lake.clock import require_utc
from lake.errors import DataQualityError
from lake.quality.broken_rows import rows_that_break
from lake.quality.findings import ExpectationResult, QualityReport
from lake.quality.passes import newest_versions
from lake.quality.rules import TableRule, rules_of
from lake.spec import TableSpec
from lake.store import Lake


def check_table(lake: Lake, spec: TableSpec, at: datetime) -> QualityReport:
    """Check a table as it was known at an instant against the suite of its spec.

    Of several versions of a row the newest known counts, so a restatement that corrects a row cures the table.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from pathlib import Path
    >>> from lake.sources import tiny_market
    >>> from lake.store import Lake
    >>> from lake.tables import BARS
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = lake.merge(BARS, tiny_market(["AAA"], sessions=5, seed=1))
    >>> report = check_table(lake, BARS, datetime(2013, 1, 1, tzinfo=UTC)).require_success()
    >>> report.rows, report.success
    (5, True)
    """
    known = lake.read(spec, where=pl.col("known_time") <= require_utc(at))
    return check_frame(spec, newest_versions(spec, known), at)


def check_frame(spec: TableSpec, frame: pl.DataFrame, at: datetime) -> QualityReport:
    """Check a frame in the table's columns; `at` only labels the findings.

    A frame without rows meets every expectation.
    """
    batch = _context().data_sources.add_or_update_pandas("lake").add_dataframe_asset(spec.name)
    definition = batch.add_batch_definition_whole_dataframe("all")
    outcome = definition.get_batch(batch_parameters={"dataframe": frame.to_pandas()}).validate(
        _suite(spec), result_format="SUMMARY"
    )
    rules = {(rule.expectation, frozenset(rule.columns)): rule for rule in rules_of(spec)}
    findings = tuple(_finding(spec, rules, frame, result.to_json_dict()) for result in outcome.results)
    return QualityReport(spec.name, frame.height, at, findings)


@cache
def _context() -> Any:
    """Return a context that keeps nothing, sends nothing and draws no progress bars."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with _hidden("pyspark"):
        import great_expectations
        from great_expectations.data_context.types.base import ProgressBarsConfig

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = great_expectations.get_context(mode="ephemeral")
    context.enable_analytics(enable=False)
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Let a package look uninstalled, also where another one has imported it already.

    Great Expectations imports Spark's client where it finds one, for frames that never come from here; and the client
    ends a process that was started without a file, as ``python -c`` and workers of tests are (`pyspark.sql.connect`
    takes it for its own doctests).
    """
    imported = sys.modules.pop(package, None)
    sys.modules[package] = None  # type: ignore[assignment] # as the import system marks what cannot be imported
    try:
        yield
    finally:
        del sys.modules[package]
        if imported is not None:
            sys.modules[package] = imported


def _suite(spec: TableSpec) -> Any:
    import great_expectations

    return great_expectations.ExpectationSuite(name=spec.name, expectations=[*expectations(spec)])


def expectations(spec: TableSpec) -> Iterator[Any]:
    """Return the rules of a table as expectations: nulls, bounds, names, order of columns, and one row per key."""
    import great_expectations.expectations as gxe

    for rule in rules_of(spec):
        yield getattr(gxe, rule.expectation.title().replace("_", ""))(**rule.arguments)


def _finding(
    spec: TableSpec,
    rules: Mapping[tuple[str, frozenset[str]], TableRule],
    frame: pl.DataFrame,
    result: dict[str, Any],
) -> ExpectationResult:
    """Return the verdict of Great Expectations on one rule, with the rows that break it."""
    config, info = result["expectation_config"], result["exception_info"]
    for problem in [info] if "raised_exception" in info else info.values():
        if problem["raised_exception"]:
            raise DataQualityError(f"{config['type']} could not be computed: {problem['exception_message']}")
    asked = config["kwargs"]
    columns = asked.get("column_list") or [asked[name] for name in ("column", "column_B", "column_A") if name in asked]
    rule = rules[config["type"], frozenset(columns)]
    met = ExpectationResult.met(rule)
    return met if result["success"] else met.broken_by(rows_that_break(spec, rule, frame))
