"""Live records: skill against naive and coverage of each model's bands, with the interval that their number allows."""

from typing import TYPE_CHECKING

import polars as pl

from lake.tables import FORECASTS, OUTCOMES
from serving.forecasts import VISIBLE
from serving.history import KnownTables
from serving.history.calibration import matured_among
from serving.history.outcomes import NAIVE, once_each
from serving.history.records import ClosesOf, by_close, group_record, overlap_of
from serving.outcomes.quality_file import CoverageFigures, SkillFigures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lake.clock import Clock
    from lake.store import Lake
    from serving.api import GroupRecord

SKILL_SESSIONS, COVERAGE_SESSIONS = 60, 250
"""Newest sessions with an outcome that count. A symbol has one outcome for each, so 250 sessions are its last 250."""


def skill_figures(lake: "Lake", clock: "Clock", *, sessions: int = SKILL_SESSIONS) -> tuple[SkillFigures, ...]:
    """Return the skill of each model against naive, by horizon, over the newest sessions whose outcome is known.

    Answered forecasts count under the name of their blend, replays under that of their model. A model with too few
    outcomes, or none beside naive, is not in it; naive itself is not either.

    Parameters
    ----------
    sessions
        How many of the newest sessions count that have an outcome of any model over the horizon: a model that is not
        forecast with any more leaves them.
    """
    return tuple(
        SkillFigures(
            model=record.group,
            horizon_sessions=horizon,
            skill=record.skill.skill,
            low=record.skill.low,
            high=record.skill.high,
            sessions=record.skill.sessions,
        )
        for horizon, record in _records(lake, clock, sessions)
        if record.skill.is_enough and record.group != NAIVE
    )


def coverage_figures(lake: "Lake", clock: "Clock", *, sessions: int = COVERAGE_SESSIONS) -> tuple[CoverageFigures, ...]:
    """Return how often the bands of each model held, by horizon, over the last outcomes of each symbol.

    The interval is that of `serving.history.band_record`: outcomes of one session share the market's move, and those
    of neighbouring ones share most of their horizon, so it counts sessions that do not overlap.

    Parameters
    ----------
    sessions
        How many of the newest sessions count, as for `skill_figures`.
    """
    return tuple(
        CoverageFigures(
            model=record.group,
            horizon_sessions=horizon,
            coverage=record.band.held,
            low=record.band.low,
            high=record.band.high,
            outcomes=record.band.outcomes,
        )
        for horizon, record in _records(lake, clock, sessions)
        if record.band.is_enough
    )


def _records(lake: "Lake", clock: "Clock", sessions: int) -> "Iterator[tuple[int, GroupRecord]]":
    """Yield the record of each model over each horizon, from its newest sessions."""
    if not lake.exists(FORECASTS) or not lake.exists(OUTCOMES):
        return
    tables, which = KnownTables(lake), pl.col("kind").is_in(VISIBLE)
    for horizon in tables.market.horizon_bars:
        matured = once_each(matured_among(tables, horizon, which, clock.now()).filter(which))
        closes = by_close(matured, "model_name").collect()
        newest = closes.filter(pl.col("event_time").rank("dense", descending=True) <= sessions)
        overlap = overlap_of(tables.market, horizon)
        for (name,), rows in sorted(newest.partition_by("model_name", as_dict=True).items()):
            yield horizon, group_record(str(name), ClosesOf(rows.sort("event_time"), overlap))
