"""Values of a forecast and their arithmetic; a leaf.

- `rows`: what one symbol's forecast is made from
- `blending`: from the members' quantiles to one forecast, its direction and its probability
- `kinds`: how a stored forecast came about, and who may see it
- `pricing`: its prices, as far as they are known
- `corrections`: the calibration in force, applied to quantiles and confidence
- `replays`: the blend of the models' replays at each past close
- `scoring`: scores of a forecast against the return that came
"""

from serving.forecasts.blending import (
    BLEND,
    TENTH,
    WEIGHT_TOLERANCE,
    Member,
    blend,
    direction_of,
    name_blend,
    sign_probability,
    weights_without,
)
from serving.forecasts.corrections import COVERAGE_TARGET, Calibration, calibrate, confidence, trust_of, widened
from serving.forecasts.kinds import ANSWERED, REPLAY, TRIAL, VISIBLE, WALKED
from serving.forecasts.pricing import PRICED, target_price
from serving.forecasts.replays import QUANTILES, blend_replayed
from serving.forecasts.rows import Row
from serving.forecasts.scoring import is_direction_hit, pinball_loss

__all__ = [
    "ANSWERED",
    "BLEND",
    "COVERAGE_TARGET",
    "PRICED",
    "QUANTILES",
    "REPLAY",
    "TENTH",
    "TRIAL",
    "VISIBLE",
    "WALKED",
    "WEIGHT_TOLERANCE",
    "Calibration",
    "Member",
    "Row",
    "blend",
    "blend_replayed",
    "calibrate",
    "confidence",
    "direction_of",
    "is_direction_hit",
    "name_blend",
    "pinball_loss",
    "sign_probability",
    "target_price",
    "trust_of",
    "weights_without",
    "widened",
]
