"""How it is known when bars were known: shares of recorded and of assumed times, as values and as a sentence."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from lake.store import LakeReader
from lake.tables import BARS

ASSUMED, NOT_SAID = "assumed", "not_said"
RECORDED = {"observed": "recorded at receipt", "stated": "stated by the source", "scheduled": "by a timetable"}
"""Bases that are no assumption, in words."""
UNITS = ((timedelta(days=3), timedelta(days=1), "days"), (timedelta(hours=3), timedelta(hours=1), "h"))
"""From which delay on it is told in which unit; below, in minutes."""


@dataclass(frozen=True)
class KnownBases:
    """How the times of knowledge of bars are known.

    Parameters
    ----------
    bars
        How many bars; a restatement counts as one of its own, because it has a time of its own.
    counts
        Bars by `known_basis`, `NOT_SAID` where it is null; bases that no bar has are left out.
    delays
        Shortest and longest time from the close to the assumed time of knowledge; None where nothing is assumed.

    Examples
    --------
    >>> minutes = timedelta(minutes=15)
    >>> KnownBases(1_000, {"assumed": 620, "observed": 380}, (minutes, minutes)).sentence()
    'Time of knowledge of 1,000 bars: 62 % assumed (close + 15 min), 38 % recorded at receipt.'
    >>> KnownBases(1_000, {"assumed": 1_000}, (timedelta(), timedelta())).sentence()
    'Time of knowledge of 1,000 bars: 100 % assumed (the close), none recorded.'
    """

    bars: int
    counts: dict[str, int] = field(default_factory=dict)
    delays: tuple[timedelta, timedelta] | None = None

    @property
    def assumed(self) -> float | None:
        """Share of bars whose time of knowledge is assumed, 0 to 1; None where there is no bar."""
        return self.counts.get(ASSUMED, 0) / self.bars if self.bars else None

    @property
    def shares(self) -> dict[str, float]:
        """Share of bars by basis, 0 to 1, as in `counts`."""
        return {basis: count / self.bars for basis, count in self.counts.items()}

    def sentence(self) -> str:
        """Say it in one sentence of a line; empty where there is no bar."""
        bars = "1 bar" if self.bars == 1 else f"{self.bars:,} bars"
        return f"Time of knowledge of {bars}: {', '.join(self.parts())}." if self.bars else ""

    def parts(self) -> tuple[str, ...]:
        """Return the parts of the sentence: what is assumed, what nobody said, and what was recorded or stated."""
        if not self.bars:
            return ()
        shares = self.shares
        recorded = {basis: share for basis, share in shares.items() if basis in RECORDED}
        parts = []
        if self.delays is not None:
            parts.append(f"{percent(shares[ASSUMED])} assumed ({_rule(*self.delays)})")
        if NOT_SAID in shares:
            parts.append(f"{percent(shares[NOT_SAID])} not said")
        if not recorded:
            parts.append("none recorded")
        elif len(recorded) == 1:
            ((basis, share),) = recorded.items()
            parts.append(f"{percent(share)} {RECORDED[basis]}")
        else:
            parts.append(f"{percent(sum(recorded.values()))} recorded or stated")
        return tuple(parts)


def known_bases(
    lake: LakeReader, at: datetime, *, where: pl.Expr | None = None, version: int | None = None
) -> KnownBases:
    """Return how the times of knowledge of a lake's bars are known, of those that were known at an instant.

    Parameters
    ----------
    at
        Instant with a zone; bars known later are not counted.
    where
        Which bars; all by default, the index's among them.
    version
        Delta version of `bars`, by default the newest.

    Returns
    -------
    KnownBases
        Of no bar where the table was never written. A bar from before the basis was kept counts as `NOT_SAID`.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC
    >>> from pathlib import Path
    >>> from lake.sources import tiny_market
    >>> from lake.store import Lake
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
    >>> known_bases(lake, datetime(2012, 12, 31, 21, tzinfo=UTC)).sentence()
    'Time of knowledge of 10 bars: 100 % stated by the source.'
    """
    if not lake.exists(BARS):
        return KnownBases(0)
    is_known = pl.col("known_time") <= at
    delay = pl.col("known_time") - pl.col("event_time")
    found = (
        lake.scan(BARS, version=version)
        .filter(is_known if where is None else is_known & where)
        .group_by(pl.col("known_basis").fill_null(NOT_SAID).alias("basis"))
        .agg(pl.len().alias("bars"), delay.min().alias("least"), delay.max().alias("most"))
        .sort("basis")
        .collect()
    )
    counts = dict(found.select("basis", "bars").iter_rows())
    delays = found.filter(pl.col("basis") == ASSUMED).select("least", "most").rows()
    return KnownBases(sum(counts.values()), counts, delays[0] if delays else None)


def percent(share: float) -> str:
    """Return a share, 0 to 1, as a percentage in whole numbers, in which only all is 100 and only nothing is 0.

    Examples
    --------
    >>> [percent(share) for share in (0.0, 0.001, 0.62, 0.999, 1.0)]
    ['0 %', 'under 1 %', '62 %', 'over 99 %', '100 %']
    """
    if 0 < share < 0.01:  # noqa: PLR2004 - a percent
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"  # noqa: PLR2004 - a percent


def _rule(least: timedelta, most: timedelta) -> str:
    """Say how an assumed time follows from the close."""
    if most == timedelta():
        return "the close"
    return f"close + {_delay(most)}" if least == most else f"close + {_delay(least)} to {_delay(most)}"


def _delay(delay: timedelta) -> str:
    for start, unit, name in UNITS:
        if delay >= start:
            return f"{delay / unit:.0f} {name}"
    return f"{delay / timedelta(minutes=1):.0f} min"
