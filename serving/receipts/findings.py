"""Findings of a check of forecasts against their receipts: one per part that differs."""

from dataclasses import dataclass
from typing import Literal

Part = Literal[
    "parquet file",
    "table version",
    "model file",
    "log row",
    "forecast row",
    "receipt",
    "answer",
    "engine",
    "code",
    "forecast",
    "drain",
]
TELLING: frozenset[Part] = frozenset({"code", "engine"})
"""Parts that only explain: another engine or code is no fault as long as the numbers are the same."""


@dataclass(frozen=True)
class ReplayFinding:
    """One part that differs from what was recorded.

    Parameters
    ----------
    part
        Kind of the part that differs.
    where
        Its path or name.
    problem
        Description of the difference, in a sentence.
    """

    part: Part
    where: str
    problem: str

    def __str__(self) -> str:
        """Kind, place and sentence."""
        return f"{self.part} {self.where}: {self.problem}"
