"""Live records: skill against naive and coverage of each model's bands, with the interval that their number allows."""

from typing import TYPE_CHECKING

from serving.history import NAIVE, KnownTables, records_of_newest
from serving.outcomes.quality_file import CoverageFigures, SkillFigures

if TYPE_CHECKING:
    from lake.clock import Clock
    from lake.store import Lake

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
        for horizon, record in records_of_newest(KnownTables(lake), sessions, clock.now())
        if record.skill.skill is not None
        and record.skill.low is not None
        and record.skill.high is not None
        and record.group != NAIVE
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
        for horizon, record in records_of_newest(KnownTables(lake), sessions, clock.now())
        if record.band.held is not None and record.band.low is not None and record.band.high is not None
    )
