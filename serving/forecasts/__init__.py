"""Values of a forecast and their arithmetic; a leaf.

- `rows`: what one symbol's forecast is made from
- `blending`: from the members' quantiles to one forecast, its direction and its probability
- `corrections`: the calibration in force, applied to quantiles and confidence
"""

from serving.forecasts.blending import WEIGHT_TOLERANCE, Member, blend, direction_of, name_blend, sign_probability
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
