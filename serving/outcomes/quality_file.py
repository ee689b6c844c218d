"""The live-quality file: written after outcomes are known, read by the service.

The service reads no table for it, so what an operator looks at costs no forecast any time.
"""

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


class Figures(_FigurePart):
    """Everything in the file."""

    models: tuple[ModelFigures, ...] = ()
    bands: tuple[BandFigures, ...] = ()


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


def show_figures(figures: Figures) -> None:
    """Set the metrics from the figures."""
    for of_model in figures.models:
        labels = of_model.model, str(of_model.horizon_sessions)
        metrics.MATURED.labels(*labels).set(of_model.forecasts)
        metrics.FORECAST_ERROR.labels(*labels).set(of_model.mean_absolute_error)
        metrics.PINBALL.labels(*labels).set(of_model.pinball_loss)
    for band in figures.bands:
        metrics.COVERAGE.labels(band.regime, str(band.horizon_sessions)).set(band.coverage)
