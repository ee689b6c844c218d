"""The input of a model: the last sessions of its features, per symbol, as one array."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.catalog import CONDITIONAL_VOLATILITY, MODEL_FEATURES
from lake.errors import ConfigError, UnknownNameError

QUANTILES: tuple[float, ...] = (0.1, 0.5, 0.9)
"""Quantiles of the return that every model forecasts."""
SCALES: tuple[str, ...] = ("volatility_garch", "volatility_garch_5d")
"""Features that scale the targets: over one bar, and over several; a window needs both at every session."""
EXPECTED = {feature.name for feature in CONDITIONAL_VOLATILITY}

FloatArray = npt.NDArray[np.float32]

__all__ = [
    "FORECAST_V1",
    "FORECAST_V2",
    "QUANTILES",
    "SCALES",
    "WINDOW_SPECS",
    "WindowSpec",
    "Windows",
    "build_windows",
    "nearest_scales",
    "to_model_input",
]


@dataclass(frozen=True)
class WindowSpec:
    """Which features over how many sessions.

    Parameters
    ----------
    name
        Name of the model signature and of the Feast feature service.
    features
        In the order of the array's last axis; all of `scales` are among them.
    sessions
        Length of the window.
    scales
        Annualised volatilities that the returns are scaled by: one for each horizon, or one for all.

    Examples
    --------
    >>> WindowSpec("short", ("return_1d", "volatility_20d"), sessions=5, scales=("volatility_20d",)).shape
    (5, 2)
    >>> FORECAST_V2.shape
    (30, 25)
    """

    name: str
    features: tuple[str, ...]
    sessions: int
    scales: tuple[str, ...] = SCALES

    def __post_init__(self) -> None:
        """Refuse a window that no model could use."""
        if self.sessions < 1:
            raise ConfigError(f"Window '{self.name}' spans {self.sessions} sessions; the smallest is 1.")
        missing = [scale for scale in self.scales if scale not in self.features]
        if missing:
            raise ConfigError(
                f"Window '{self.name}' lacks '{missing[0]}', by which forecasts are scaled. Add it to its features."
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Sessions and features of one window."""
        return self.sessions, len(self.features)

    def scaled_for(self, horizons: Sequence[int]) -> "WindowSpec":
        """Return the same windows with a scale for each horizon; one scale for all stays.

        Examples
        --------
        >>> FORECAST_V2.scaled_for((1, 5)) == FORECAST_V2, FORECAST_V2.scaled_for((1, 5, 20)).scales[2]
        (True, 'volatility_garch_5d')
        """
        return self if len(self.scales) == 1 else replace(self, scales=nearest_scales(self.scales, horizons))

    @property
    def scale_indices(self) -> list[int]:
        """Positions of the scales on the feature axis."""
        return [self.features.index(scale) for scale in self.scales]


def nearest_scales(scales: Sequence[str], horizons: Sequence[int]) -> tuple[str, ...]:
    """Return for each horizon the volatility that looks about as far: the first over one bar, the last over more.

    Examples
    --------
    >>> nearest_scales(SCALES, (1, 4))
    ('volatility_garch', 'volatility_garch_5d')
    """
    return tuple(scales[0] if horizon == 1 else scales[-1] for horizon in horizons)


FORECAST_V1 = WindowSpec(
    "forecast_v1",
    features=tuple(name for name in MODEL_FEATURES if name not in EXPECTED),
    sessions=30,
    scales=("volatility_20d",),
)
"""Windows of the models before expected volatility was a feature; what they forecast is replayed."""
FORECAST_V2 = WindowSpec("forecast_v2", features=MODEL_FEATURES, sessions=30)
"""Windows of the models in service."""
WINDOW_SPECS = {spec.name: spec for spec in (FORECAST_V1, FORECAST_V2)}
"""By name, the oldest first."""


@dataclass(frozen=True)
class Windows:
    """Windows and whose they are.

    Parameters
    ----------
    keys
        ``symbol, event_time`` of the last session, one row per window, sorted.
    values
        ``[window, session, feature]`` float32, oldest session first; NaN is not known.
    """

    keys: pl.DataFrame
    values: FloatArray

    def __len__(self) -> int:
        """How many windows."""
        return self.keys.height


def build_windows(features: pl.DataFrame, spec: WindowSpec, at: Collection[datetime] | None = None) -> Windows:
    """Cut windows out of a feature table.

    A window exists at (symbol, t) when the symbol has `spec.sessions` rows up to and with t and every scale is known
    at each of them. Other features may be NaN: a close-only symbol has no volume, a young one no long look-back.

    Parameters
    ----------
    features
        One row per (symbol, event_time) with the columns of the spec; null is not known.
    at
        Instants at which a window may end; all by default.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> closes = [datetime(2020, 1, day, 21, tzinfo=UTC) for day in (2, 3, 6)]
    >>> rows = pl.DataFrame({"symbol": "AAA", "event_time": closes, "volatility_20d": [None, 0.2, 0.3]})
    >>> spec = WindowSpec("short", ("volatility_20d",), sessions=2, scales=("volatility_20d",))
    >>> windows = build_windows(rows, spec)
    >>> len(windows), windows.values.shape, windows.keys["event_time"].item() == closes[-1]
    (1, (1, 2, 1), True)
    """
    for name in spec.features:
        if name not in features.columns:
            raise UnknownNameError("feature", name, features.columns)
    rows = features.sort("symbol", "event_time")
    scale_run = (
        pl.all_horizontal(pl.col(*dict.fromkeys(spec.scales)).is_not_null())
        .cast(pl.Int32)
        .rolling_sum(spec.sessions)
        .over("symbol")
    )
    complete = (scale_run == spec.sessions).fill_null(value=False)
    if at is not None:
        complete &= pl.col("event_time").is_in(pl.Series(list(at), dtype=rows.schema["event_time"]).implode())
    last = rows.select(complete.arg_true()).to_series()
    matrix = rows.select(pl.col(spec.features).cast(pl.Float32).fill_null(float("nan"))).to_numpy()  # [row, feature]
    offsets = np.arange(1 - spec.sessions, 1)
    values = matrix[last.to_numpy()[:, None] + offsets[None, :]]  # [window, session, feature]
    return Windows(rows[last].select("symbol", "event_time"), np.ascontiguousarray(values, dtype=np.float32))


def to_model_input(values: FloatArray) -> FloatArray:
    """Put values and what is known of them side by side, ``[n, session, feature] -> [n, session, 2 * feature]``.

    The first half holds the values with 0 for NaN, the second half 1 where the value is known and 0 where not.

    Examples
    --------
    >>> to_model_input(np.array([[[0.5, np.nan]]], np.float32)).tolist()
    [[[0.5, 0.0, 1.0, 0.0]]]
    """
    known = ~np.isnan(values)
    return np.concatenate([np.where(known, values, 0), known], axis=-1, dtype=np.float32)


def window_hash(values: FloatArray) -> str:
    """SHA-256 of one window's little-endian float32 bytes, in hex: the identity of a model input.

    Every NaN is written as the same one first, so that equal windows have equal hashes.

    Examples
    --------
    >>> window_hash(np.zeros((2, 1), np.float32))[:12]
    'af5570f5a181'
    """
    return window_hashes(values[None])[0]


def window_hashes(values: FloatArray) -> list[str]:
    """Return the `window_hash` of each of some windows, ``[window, session, feature]``."""
    same = np.ascontiguousarray(np.where(np.isnan(values), np.float32("nan"), values), dtype="<f4")
    return [hashlib.sha256(window).hexdigest() for window in same]
