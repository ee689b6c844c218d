"""Applies the calibration in force to every forecast of some rows, answered or logged in the shadow."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from serving.forecasts import Calibration, calibrate

if TYPE_CHECKING:
    from serving.predict.forecasting import Forecasts


def calibrate_forecasts(
    said: "Forecasts", horizons: Sequence[int], calibrations: "Sequence[Calibration | None]"
) -> "Forecasts":
    """Correct what is answered and what is logged in its shadow in the same way; see `calibrate`."""
    shadows = {
        place: [
            other._replace(quantiles=calibrate(other.quantiles[None], horizons, [calibrations[place]])[0])
            for other in others
        ]
        for place, others in said.shadows.items()
    }
    return replace(said, quantiles=calibrate(said.quantiles, horizons, calibrations), shadows=shadows)
