"""Findings of a replay: one sentence per part that differs, naming the part."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from serving.receipts import TELLING, ReplayFinding

Verdict = Literal["equal", "close", "differs", "unknown"]


@dataclass
class Replayed:
    """Result of one replay.

    Parameters
    ----------
    compared
        What was computed again and compared, in words.
    difference
        Largest difference of any quantile, as a fraction of price; None where none could be computed.
    is_exact
        Whether the bits have to be the same: same engine, on a processor of the same kind.
    findings
        What is not as it was.
    unknown
        What could not be compared because it was never written down.
    """

    forecast_id: str
    kind: str
    symbol: str
    as_of: datetime
    compared: list[str] = field(default_factory=list)
    difference: float | None = None
    tolerance: float = 0.0
    is_exact: bool = True
    findings: list[ReplayFinding] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[ReplayFinding]:
        """Findings that are faults of their own."""
        return [finding for finding in self.findings if finding.part not in TELLING]

    @property
    def verdict(self) -> Verdict:
        """``equal`` bit for bit, ``close`` within the tolerance of another engine, ``differs``, or ``unknown``."""
        if self.faults or (self.difference is not None and self.difference > self.tolerance):
            return "differs"
        if self.difference is None:
            return "unknown"
        return "equal" if self.difference == 0 else "close"

    def add(self, finding: ReplayFinding) -> None:
        """Add a finding, once."""
        if finding not in self.findings:
            self.findings.append(finding)


def counts(replayed: Sequence[Replayed]) -> dict[Verdict, int]:
    """Count the results of each verdict.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> result = Replayed("7b", "served", "AAPL", datetime(2012, 12, 31, 21, tzinfo=UTC), difference=0.0)
    >>> counts([result])
    {'equal': 1, 'close': 0, 'differs': 0, 'unknown': 0}
    """
    found: dict[Verdict, int] = {"equal": 0, "close": 0, "differs": 0, "unknown": 0}
    for result in replayed:
        found[result.verdict] += 1
    return found
