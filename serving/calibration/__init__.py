"""Corrections of forecasts, learned from outcomes."""

from serving.calibration.conformal import TAIL, track
from serving.calibration.learning import QUANTILES, Lived, live, update_calibrations
from serving.calibration.reliability import Reliability, confidence_reliability

__all__ = [
    "QUANTILES",
    "TAIL",
    "Lived",
    "Reliability",
    "confidence_reliability",
    "live",
    "picture",
    "track",
    "update_calibrations",
]
