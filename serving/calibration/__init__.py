"""Corrections of forecasts, learned from their outcomes.

- `conformal`: adaptive conformal factors of the bands, and trust in the stated probability
- `simulation`: what a walk-forward simulation of one horizon found
- `learning`: the simulation over the lake, and the table `calibrations`
- `reliability`: stated confidence against how often it came true
- `picture`: coverage over time (needs matplotlib)
"""

from serving.calibration.conformal import TAIL, ForecastPanel, track
from serving.calibration.learning import simulate, update_calibrations
from serving.calibration.reliability import Reliability, confidence_reliability
from serving.calibration.simulation import WalkForwardSimulation

__all__ = [
    "TAIL",
    "ForecastPanel",
    "Reliability",
    "WalkForwardSimulation",
    "confidence_reliability",
    "picture",
    "simulate",
    "track",
    "update_calibrations",
]
