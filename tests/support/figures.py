"""Figures of one model as the service shows them."""

from serving.outcomes import Figures
from serving.outcomes.quality_file import CoverageFigures, SkillFigures

REACH = 0.02
"""From a figure to either end of its interval."""


def records(*, skill=0.0, coverage=0.8, sessions=60, reach=REACH, model="lstm", horizon=5):
    """Return skill and coverage of one model, each with an interval of one reach."""
    of_model = {"model": model, "horizon_sessions": horizon}
    return Figures(
        skills=(SkillFigures(**of_model, skill=skill, low=skill - reach, high=skill + reach, sessions=sessions),),
        coverages=(
            CoverageFigures(
                **of_model, coverage=coverage, low=coverage - reach, high=coverage + reach, outcomes=sessions * 20
            ),
        ),
    )
