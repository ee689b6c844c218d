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
from training.data.split import Split
from training.models import FeatureScaler

END = "label_end_"
"""Beginning of the columns that say when each horizon of a window has ended, followed by its length in bars."""


@dataclass(frozen=True)
class WindowSet:
    """Windows with what came after them, row by row.

    Parameters
    ----------
    x
        float32 ``[window, session, 2 * feature]``: values (0 where not known), then flags (1 known, 0 not known).
    y
        float32 ``[window, horizon]``: simple return over each horizon, a fraction; NaN where it is not known, which
        takes the window from that horizon alone.
    keys
        ``symbol``, ``event_time`` (close of the window's last session), ``label_end`` (close at which the longest known
        label has ended) and for each horizon ``label_end_<bars>`` (the same of its own label, null where there is
        none), in the order of `x`.
    horizons
        In bars, in the order of the last axis of `y`.

    Raises
    ------
    SchemaError
        If the three do not have the same number of rows, or `y` not one return for each horizon.
    """

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    keys: pl.DataFrame
    horizons: tuple[int, ...] = HORIZONS

    def __post_init__(self) -> None:
        """Refuse parts of different lengths."""
        if not len(self.x) == len(self.y) == self.keys.height:
            raise SchemaError(
                f"A window set has {len(self.x)} windows, {len(self.y)} labels and {self.keys.height} keys; "
                "there must be one label and one key for each window."
            )
        if self.y.shape[1:] != (len(self.horizons),):
            raise SchemaError(
                f"A window set has returns of shape {self.y.shape}; expected one for each of the horizons "
                f"{self.horizons}."
            )

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def scaler(self) -> FeatureScaler:
        """Mean and spread of each feature over these windows, see `fit_scaler`; learnt once for all models."""
        return fit_scaler(self.x)

    def take(self, rows: npt.NDArray[np.int64]) -> "WindowSet":
        """Return the rows of those numbers, in that order."""
        return WindowSet(self.x[rows], self.y[rows], self.keys[rows], self.horizons)

    def known_before(self, cut: datetime) -> "WindowSet":
        """Return the same windows without the labels that end at or after an instant: NaN, and no part of the keys.

        Windows that have no other label are left out.
        """
        keys = known_before(self.keys, cut)
        ends = [f"{END}{horizon}" for horizon in self.horizons]
        if not set(ends) <= set(keys.columns):  # one label a row
            return self.take(
                keys.select((pl.col("label_end") < cut).arg_true()).to_series().to_numpy().astype(np.int64)
            )
        is_known = keys.select(pl.col(ends).is_not_null()).to_numpy()
        rows = np.flatnonzero(is_known.any(axis=1))
        y = np.where(is_known, self.y, np.float32("nan"))
        return WindowSet(self.x[rows], y[rows], keys[rows], self.horizons)

    def parts_of(self, split: Split) -> "tuple[WindowSet, WindowSet, WindowSet]":
        """Return the training, validation and test windows of a split, each with the labels that it may know."""
        train, valid, test = (
            self.take(rows).known_before(cut)
            for rows, cut in zip((split.train, split.valid, split.test), split.cuts, strict=True)
        )
        return train, valid, test

    def joined(self, other: "WindowSet") -> "WindowSet":
        """Return these rows followed by those of another set."""
        return WindowSet(
            np.concatenate([self.x, other.x]),
            np.concatenate([self.y, other.y]),
            pl.concat([self.keys, other.keys]),
            self.horizons,
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
    horizons: tuple[int, ...] = HORIZONS,
) -> WindowSet:
    """Return every window that has a label: one that is missing takes the window from its own horizon alone.

    A window whose last volatility is zero is left out: forecasts are in units of it.

    Parameters
    ----------
    features
        One row per ``symbol`` and ``event_time`` with the features of `spec`; null is not known.
    labels
        Rows of the table ``labels``, one per symbol, session and horizon; ``known_time`` is the end of the horizon.
    at
        Sessions at which windows end, by default all.
    horizons
        In bars, ascending.

    Raises
    ------
    NotReadyError
        If no window has a label, or a horizon has none.
    """
    windows = build_windows(features, spec, at=at)
    has_scale = pl.Series((windows.values[:, -1, spec.scale_indices] > 0).all(axis=1))
    keys = windows.keys.with_row_index("row").filter(has_scale)
    keys = keys.join(_targets(labels, horizons), on=["symbol", "event_time"], how="inner").sort("row")
    returns = [f"return_{horizon}" for horizon in horizons]
    y = keys.select(pl.col(returns).cast(pl.Float32).fill_null(float("nan"))).to_numpy()
    missing = [horizon for horizon, column in zip(horizons, y.T, strict=True) if np.isnan(column).all()]
    if missing:
        raise NotReadyError(
            f"None of {windows.keys.height} windows has a label {missing[0]} bars ahead, of the horizons {horizons}. "
            "Materialise `features_technical` and `labels` over the same bars first."
        )
    return WindowSet(
        x=to_model_input(windows.values[keys["row"].to_numpy()]),
        y=y,
        keys=keys.drop("row", *returns),
        horizons=horizons,
    )


def known_before(keys: pl.DataFrame, cut: datetime) -> pl.DataFrame:
    """Return keys of windows as they were known before an instant: ends of later labels are null.

    Parameters
    ----------
    keys
        As those of `WindowSet`. Without the columns of single horizons they stay as they are, and so does the
        ``label_end`` of a window of which nothing was known.
    """
    ends = [name for name in keys.columns if name.startswith(END)]
    if not ends:
        return keys
    known = [pl.when(pl.col(name) < cut).then(pl.col(name)).alias(name) for name in ends]
    return keys.with_columns(known).with_columns(pl.coalesce(pl.max_horizontal(ends), "label_end").alias("label_end"))


def _targets(labels: pl.DataFrame, horizons: tuple[int, ...]) -> pl.DataFrame:
    """One row per symbol and session with a label: a return and an end per horizon, and the end of the last one."""
    of_horizon = [pl.col("horizon_sessions") == horizon for horizon in horizons]
    return (
        labels.filter(pl.col("horizon_sessions").is_in(horizons))
        .group_by("symbol", "event_time")
        .agg(
            pl.col("known_time").max().alias("label_end"),
            *(
                expression.filter(chosen).first().alias(f"{name}{horizon}")
                for horizon, chosen in zip(horizons, of_horizon, strict=True)
                for name, expression in ((END, pl.col("known_time")), ("return_", pl.col("forward_return")))
            ),
        )
    )
