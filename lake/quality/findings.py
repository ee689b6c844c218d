"""What the expectations of a table found in it, as values and as a sentence."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lake.errors import DataQualityError
from lake.quality.broken_rows import BrokenRows, command_of
from lake.quality.rules import RuleKind, TableRule

MOST_RULES = 3
"""Broken rules that a sentence names."""
REMEDY = "Then correct it at its source and deliver it again with a later known_time."


@dataclass(frozen=True)
class ExpectationResult:
    """What one expectation found.

    Parameters
    ----------
    expectation
        Great Expectations' name of the rule, e.g. ``expect_column_values_to_not_be_null``.
    columns
        Column or columns it is about.
    unexpected
        Rows that break it.
    examples
        A few of the rows that break it: symbol, time, and the values that do.
    kind, rule
        Kind of the rule, and the rule in words, e.g. ``high >= close``.
    query
        DuckDB query that shows the first row that breaks it; empty where none does.
    """

    expectation: str
    columns: tuple[str, ...]
    success: bool
    unexpected: int
    examples: tuple[str, ...]
    kind: RuleKind
    rule: str
    query: str = ""

    @classmethod
    def met(cls, rule: TableRule) -> "ExpectationResult":
        """Return that no row breaks a rule."""
        return cls(
            rule.expectation, rule.columns, success=True, unexpected=0, examples=(), kind=rule.kind, rule=rule.text
        )

    def broken_by(self, found: BrokenRows) -> "ExpectationResult":
        """Return the finding with the rows that break the rule."""
        return replace(self, success=False, unexpected=found.count, examples=found.examples, query=found.query)

    def sentence(self, rows: int) -> str:
        """Say how many of the rows break the rule, and which one is the first."""
        which = "" if self.unexpected == 1 else ", the first"
        return f"{self.unexpected:,} of {rows:,} rows{which}: {self.examples[0]} ({self.rule})"


@dataclass(frozen=True)
class QualityReport:
    """What the expectations of a table found in it."""

    table: str
    rows: int
    at: datetime
    findings: tuple[ExpectationResult, ...]

    @property
    def success(self) -> bool:
        """Whether the table meets every expectation."""
        return all(finding.success for finding in self.findings)

    @property
    def failed(self) -> tuple[ExpectationResult, ...]:
        """The expectations it does not meet."""
        return tuple(finding for finding in self.findings if not finding.success)

    def of_kind(self, kind: RuleKind) -> "QualityReport":
        """Return what was found for the rules of one kind."""
        return replace(self, findings=tuple(finding for finding in self.findings if finding.kind == kind))

    def sentence(self) -> str:
        """Say which rows break which rules, and the command that shows the first; empty for a table that meets all.

        Examples
        --------
        >>> from datetime import UTC, datetime
        >>> import polars as pl
        >>> from lake.quality import check_frame
        >>> from lake.sources import tiny_market
        >>> from lake.tables import BARS
        >>> bars = tiny_market(["AAA"], sessions=5, seed=1).with_columns(volume=pl.lit(-1.0))
        >>> print(check_frame(BARS, bars, datetime(2013, 1, 1, tzinfo=UTC)).sentence().partition(" Next: ")[0])
        5 of 5 rows, the first: AAA 2012-12-24 18:00 UTC, volume -1 < 0 (volume >= 0).
        """
        if self.success:
            return ""
        said = [finding.sentence(self.rows) for finding in self.failed[:MOST_RULES]]
        more = len(self.failed) - MOST_RULES
        said += [f"{more} further rules are broken"] if more > 0 else []
        return f"{'; '.join(said)}. Next: `{command_of(self.failed[0].query)}` shows the row. {REMEDY}"

    @property
    def results(self) -> list[dict[str, Any]]:
        """One plain dict per expectation, for metadata and reports."""
        return [
            vars(finding) | {"columns": list(finding.columns), "examples": list(finding.examples)}
            for finding in self.findings
        ]

    def require_success(self) -> "QualityReport":
        """Return the findings, or refuse to go on with the table.

        Raises
        ------
        DataQualityError
            Naming the rules that are broken, each with the first row that breaks it.
        """
        if not self.success:
            raise DataQualityError(
                f"Table '{self.table}' breaks {len(self.failed)} of {len(self.findings)} rules as known at "
                f"{self.at:%Y-%m-%d %H:%M} UTC. {self.sentence()}"
            )
        return self
