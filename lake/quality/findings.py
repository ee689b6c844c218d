"""What the expectations of a table found in it, as values."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lake.errors import DataQualityError


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
        A few of the values that break it, as text.
    """

    expectation: str
    columns: tuple[str, ...]
    success: bool
    unexpected: int
    examples: tuple[str, ...]

    def sentence(self) -> str:
        """Describe it in one sentence."""
        return (
            f"{self.expectation} on {', '.join(self.columns)}: {self.unexpected} rows, e.g. {', '.join(self.examples)}"
        )


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
            Naming each expectation that failed, with examples.
        """
        if not self.success:
            raise DataQualityError(
                f"Table '{self.table}' fails {len(self.failed)} of {len(self.findings)} expectations as known at "
                f"{self.at:%Y-%m-%d %H:%M} UTC: {'; '.join(finding.sentence() for finding in self.failed)}. "
                "Correct the rows at their source and deliver them again with a later known_time."
            )
        return self
