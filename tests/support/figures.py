"""Figures of one model as the service shows them."""

from typing import Any

from serving.outcomes import Figures
from serving.outcomes.quality_file import CoverageFigures, SkillFigures

REACH = 0.02
"""From a figure to either end of its interval."""


def records(
    *,
    skill: float = 0.0,
    coverage: float = 0.8,
    sessions: int = 60,
    reach: float = REACH,
    model: str = "lstm",
    horizon: int = 5,
) -> Figures:
    """Return skill and coverage of one model, each with an interval of one reach."""
    of_model: dict[str, Any] = {"model": model, "horizon_sessions": horizon}
    return Figures(
        skills=(SkillFigures(**of_model, skill=skill, low=skill - reach, high=skill + reach, sessions=sessions),),
        coverages=(
            CoverageFigures(
                **of_model, coverage=coverage, low=coverage - reach, high=coverage + reach, outcomes=sessions * 20
            ),
        ),
    )
