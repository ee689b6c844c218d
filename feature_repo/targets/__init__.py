"""What models learn and what they read.

- Labels: the return after each bar, known when its horizon ends (`compute_labels`, `HORIZONS`).
- Windows: the last sessions of the features of a symbol as one array (`WindowSpec`, `build_windows`), as a model takes
  them (`to_model_input`) and as they are identified (`window_hash`).
- Prices: the close as traded that a forecast is quoted from (`reference_price`).
"""

from feature_repo.targets.labels import HORIZONS, compute_labels
from feature_repo.targets.prices import AS_TRADED, reference_price, undisclosed_price
from feature_repo.targets.windows import (
    FORECAST_V1,
    FORECAST_V2,
    QUANTILES,
    SCALES,
    WINDOW_SPECS,
    FloatArray,
    Windows,
    WindowSpec,
    build_windows,
    nearest_scales,
    to_model_input,
    window_hash,
    window_hashes,
)

__all__ = [
    "AS_TRADED",
    "FORECAST_V1",
    "FORECAST_V2",
    "HORIZONS",
    "QUANTILES",
    "SCALES",
    "WINDOW_SPECS",
    "FloatArray",
    "WindowSpec",
    "Windows",
    "build_windows",
    "compute_labels",
    "nearest_scales",
    "reference_price",
    "to_model_input",
    "undisclosed_price",
    "window_hash",
    "window_hashes",
    "windows",
]
