"""The live-quality file: written after outcomes are known, read by the service.

The service reads no table for it, so what an operator looks at costs no forecast any time.
"""

from math import nan
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from lake.disk import write_durably
from serving.monitoring import metrics

if TYPE_CHECKING:
    from lake.settings import Settings

FILE = "figures.json"


class _FigurePart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelFigures(_FigurePart):
    """Errors of one model over one horizon, as shares of the price."""

    model: str
    horizon_sessions: int
    forecasts: int
    mean_absolute_error: float
    pinball_loss: float


class BandFigures(_FigurePart):
    """Share of outcomes within the band that was answered in one regime over one horizon."""

    regime: str
    horizon_sessions: int
    forecasts: int
    coverage: float


class SkillFigures(_FigurePart):
    """Skill of one model against naive over one horizon, with its 90 % interval and the sessions that it is of."""

    model: str
    horizon_sessions: int
    skill: float
    low: float
    high: float
    sessions: int


class CoverageFigures(_FigurePart):
    """Share of one model's outcomes within its bands over one horizon, with its 90 % interval and its n."""

    model: str
    horizon_sessions: int
    coverage: float
    low: float
    high: float
    outcomes: int


class Figures(_FigurePart):
    """Everything in the file."""

    models: tuple[ModelFigures, ...] = ()
    bands: tuple[BandFigures, ...] = ()
    skills: tuple[SkillFigures, ...] = ()
    coverages: tuple[CoverageFigures, ...] = ()


def figures_path(configured: "Settings") -> Path:
    """Path of the file."""
    return configured.home / FILE


def write_figures(configured: "Settings", figures: Figures) -> None:
    """Replace the file."""
    write_durably(figures_path(configured), figures.model_dump_json())


def read_figures(configured: "Settings") -> Figures | None:
    """Return what the file says; None where there is none, or none of this version."""
    try:
        return Figures.model_validate_json(figures_path(configured).read_bytes())
    except (OSError, ValidationError):
        return None


def show_figures(figures: Figures, before: Figures | None = None) -> None:
    """Set the metrics from the figures.

    Parameters
    ----------
    before
        Figures that were shown until now. A model's skill or coverage that is not told any more becomes NaN, which no
        alert compares with anything, instead of standing for ever.
    """
    if before is not None:
        _forget(before)
    for of_model in figures.models:
        labels = of_model.model, str(of_model.horizon_sessions)
        metrics.MATURED.labels(*labels).set(of_model.forecasts)
        metrics.FORECAST_ERROR.labels(*labels).set(of_model.mean_absolute_error)
        metrics.PINBALL.labels(*labels).set(of_model.pinball_loss)
    for band in figures.bands:
        metrics.COVERAGE.labels(band.regime, str(band.horizon_sessions)).set(band.coverage)
    for skill in figures.skills:
        labels = skill.model, str(skill.horizon_sessions)
        _show_skill(labels, skill.skill, skill.low, skill.high, skill.sessions)
    for coverage in figures.coverages:
        labels = coverage.model, str(coverage.horizon_sessions)
        _show_coverage(labels, coverage.coverage, coverage.low, coverage.high, coverage.outcomes)


def _show_skill(labels: tuple[str, str], skill: float, low: float, high: float, sessions: float) -> None:
    metrics.SKILL.labels(*labels).set(skill)
    metrics.SKILL_LIMIT.labels(*labels, "low").set(low)
    metrics.SKILL_LIMIT.labels(*labels, "high").set(high)
    metrics.SKILL_SESSIONS.labels(*labels).set(sessions)


def _show_coverage(labels: tuple[str, str], coverage: float, low: float, high: float, outcomes: float) -> None:
    metrics.FORECAST_COVERAGE.labels(*labels).set(coverage)
    metrics.FORECAST_COVERAGE_LIMIT.labels(*labels, "low").set(low)
    metrics.FORECAST_COVERAGE_LIMIT.labels(*labels, "high").set(high)
    metrics.FORECAST_COVERAGE_OUTCOMES.labels(*labels).set(outcomes)


def _forget(figures: Figures) -> None:
    for skill in figures.skills:
        _show_skill((skill.model, str(skill.horizon_sessions)), nan, nan, nan, nan)
    for coverage in figures.coverages:
        _show_coverage((coverage.model, str(coverage.horizon_sessions)), nan, nan, nan, nan)
