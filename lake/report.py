"""The outcome of a step, the same for an asset, a command and a notebook cell."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Report:
    """The outcome of one step.

    Parameters
    ----------
    name
        Table or artefact that the step made.
    rows
        Rows in it now; `added` says how many of them this step wrote.
    version
        Delta version of the table after the step; None for what is no table.
    first, last
        Event times of the oldest and newest row.
    seconds
        How long the step took, on the wall.
    skipped
        True when the inputs had not changed and nothing was done; `details` then says why.
    warnings
        Sentences a person should read.
    details
        Further figures, by name; plain numbers, strings, lists and paths.
    """

    name: str
    rows: int = 0
    added: int = 0
    version: int | None = None
    first: datetime | None = None
    last: datetime | None = None
    seconds: float = 0.0
    skipped: bool = False
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    def with_details(self, *, seconds: float | None = None, warnings: tuple[str, ...] = (), **details: Any) -> "Report":
        """Return a copy with further warnings and details, and another duration where `seconds` is given.

        Examples
        --------
        >>> Report("bars", rows=10).with_details(reason="nothing new").details
        {'reason': 'nothing new'}
        """
        return replace(
            self,
            seconds=self.seconds if seconds is None else seconds,
            warnings=self.warnings + warnings,
            details=self.details | details,
        )
