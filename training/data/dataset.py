"""From a training frame and its labels to windows with what came after them."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets import FORECAST_V2, HORIZONS, WindowSpec, build_windows, to_model_input
from lake.errors import NotReadyError, SchemaError
from training.data.scaling import fit_scaler
from training.models import FeatureScaler


@dataclass(frozen=True)
class WindowSet:
    """Windows with what came after them, row by row.

    Parameters
    ----------
    x
        float32 ``[window, session, 2 * feature]``: values (0 where not known), then flags (1 known, 0 not known).
    y
        float32 ``[window, horizon]``: simple return over each horizon of `HORIZONS`, a fraction.
    keys
        ``symbol``, ``event_time`` (close of the window's last session) and ``label_end`` (close at which the longest
        horizon has ended, so that the row's label is known), in the order of `x`.

    Raises
    ------
    SchemaError
        If the three do not have the same number of rows.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    keys: pl.DataFrame

    def __post_init__(self) -> None:
        """Refuse parts of different lengths."""
        if not len(self.x) == len(self.y) == self.keys.height:
            raise SchemaError(
                f"A window set has {len(self.x)} windows, {len(self.y)} labels and {self.keys.height} keys; "
                "there must be one label and one key for each window."
            )

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def scaler(self) -> FeatureScaler:
        """Mean and spread of each feature over these windows, see `fit_scaler`; learnt once for all models."""
        return fit_scaler(self.x)

    def take(self, rows: npt.NDArray[np.int64]) -> "WindowSet":
        """Return the rows of those numbers, in that order."""
        return WindowSet(self.x[rows], self.y[rows], self.keys[rows])

    def joined(self, other: "WindowSet") -> "WindowSet":
        """Return these rows followed by those of another set."""
        return WindowSet(
            np.concatenate([self.x, other.x]), np.concatenate([self.y, other.y]), pl.concat([self.keys, other.keys])
        )

    def newest(self, count: int) -> "WindowSet":
        """Return the `count` rows with the latest event times, in order of time; all of them if there are fewer."""
        order = self.keys.select(pl.col("event_time").arg_sort()).to_series().to_numpy().astype(np.int64)
        return self.take(order[-count:])


def build_window_set(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    *,
    at: Collection[datetime] | None = None,
    spec: WindowSpec = FORECAST_V2,
) -> WindowSet:
    """Return every window whose labels are all known.

    A window whose last volatility is zero is left out: forecasts are in units of it.

    Parameters
    ----------
    features
        One row per ``symbol`` and ``event_time`` with the features of `spec`; null is not known.
    labels
        Rows of the table ``labels``, one per symbol, session and horizon; ``known_time`` is the end of the horizon.
    at
        Sessions at which windows end, by default all.

    Raises
    ------
    NotReadyError
        If no window has all its labels.
    """
    windows = build_windows(features, spec, at=at)
    has_scale = pl.Series((windows.values[:, -1, spec.scale_indices] > 0).all(axis=1))
    keys = windows.keys.with_row_index("row").filter(has_scale)
    keys = keys.join(_targets(labels), on=["symbol", "event_time"], how="inner").sort("row")
    if keys.is_empty():
        raise NotReadyError(
            f"None of {windows.keys.height} windows has labels for all of {HORIZONS} sessions ahead. "
            "Materialise `features_technical` and `labels` over the same bars first."
        )
    return WindowSet(
        x=to_model_input(windows.values[keys["row"].to_numpy()]),
        y=keys.select(_names()).to_numpy().astype(np.float32),
        keys=keys.select("symbol", "event_time", "label_end"),
    )


def _targets(labels: pl.DataFrame) -> pl.DataFrame:
    """One row per symbol and session: a return per horizon, and the end of the longest one."""
    per_horizon = [
        labels.filter(pl.col("horizon_sessions") == horizon).select(
            "symbol", "event_time", pl.col("forward_return").alias(name), pl.col("known_time").alias(f"{name}_known")
        )
        for horizon, name in zip(HORIZONS, _names(), strict=True)
    ]
    joined = per_horizon[0]
    for other in per_horizon[1:]:
        joined = joined.join(other, on=["symbol", "event_time"], how="inner")
    ends = pl.max_horizontal([f"{name}_known" for name in _names()])
    return joined.drop_nulls().select("symbol", "event_time", *_names(), ends.alias("label_end"))


def _names() -> list[str]:
    return [f"return_{horizon}" for horizon in HORIZONS]
