"""Corrections of forecasts, learned from outcomes."""

from serving.calibration.conformal import TAIL, track
from serving.calibration.learning import QUANTILES, WalkForwardSimulation, simulate, update_calibrations
from serving.calibration.reliability import Reliability, confidence_reliability

__all__ = [
    "QUANTILES",
    "TAIL",
    "Reliability",
    "WalkForwardSimulation",
    "confidence_reliability",
    "picture",
    "simulate",
    "track",
    "update_calibrations",
]
