"""The values a forecast is made of, and their arithmetic."""

from serving.forecasts.blend import WEIGHT_TOLERANCE, Member, blend, direction_of, name_blend, sign_probability
from serving.forecasts.corrections import COVERAGE_TARGET, Calibration, calibrate, confidence, trust_of, widened
from serving.forecasts.rows import Row

__all__ = [
    "COVERAGE_TARGET",
    "WEIGHT_TOLERANCE",
    "Calibration",
    "Member",
    "Row",
    "blend",
    "calibrate",
    "confidence",
    "direction_of",
    "name_blend",
    "sign_probability",
    "trust_of",
    "widened",
]
