"""How often the sources of a market disagree, as one figure for an alarm."""

from dataclasses import dataclass
from datetime import datetime

import polars as pl

from lake.store import Lake
from lake.tables import AGREEMENT

SESSIONS = 20
MOST_DISAGREEING = 0.02
"""Share of the compared returns of the newest sessions on which sources may disagree before somebody should look."""


@dataclass(frozen=True)
class Disagreement:
    """Returns of the newest sessions that several sources have.

    Parameters
    ----------
    compared, disagreeing
        Returns that were compared, and those on which not all sources agree.
    examples
        The widest of them: symbol, event_time, spread in basis points and the chosen source.
    """

    compared: int
    disagreeing: int
    examples: tuple[dict[str, object], ...] = ()

    @property
    def share(self) -> float:
        """Share of the compared returns on which not all sources agree; 0 where none was compared."""
        return self.disagreeing / self.compared if self.compared else 0.0

    @property
    def is_high(self) -> bool:
        """Whether somebody should look."""
        return self.share > MOST_DISAGREEING


def disagreement(lake: Lake, now: datetime, sessions: int = SESSIONS) -> Disagreement:
    """Return how often the sources disagree on the returns of the newest sessions, as known now.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC
    >>> from pathlib import Path
    >>> disagreement(Lake(Path(tempfile.mkdtemp())), datetime(2012, 12, 31, tzinfo=UTC)).share
    0.0
    """
    if not lake.exists(AGREEMENT):
        return Disagreement(0, 0)
    found = lake.read_as_of(AGREEMENT, now).filter(pl.col("field") == "close")
    newest = found["event_time"].unique().sort(descending=True).head(sessions)
    recent = found.filter(pl.col("event_time").is_in(newest.implode()))
    apart = recent.filter(pl.col("agreeing") < pl.col("sources")).sort("spread_bp", descending=True)
    shown = apart.head(5).select("symbol", "event_time", "spread_bp", "chosen")
    return Disagreement(recent.height, apart.height, tuple(shown.to_dicts()))
