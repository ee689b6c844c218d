"""What training must not let look ahead: the split that serves, and the scaler fitted on it. Checked like features."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
import polars as pl

from feature_repo.engines import compute_technical
from feature_repo.leaks import LeakSubject, World
from feature_repo.targets import FORECAST_V2, HORIZONS, compute_labels
from lake.errors import NotReadyError
from training.data.dataset import END, WindowSet, build_window_set, known_before
from training.data.scaling import fit_scaler
from training.data.split import Split
from training.data.splits import assert_no_overlap, champion_split
from training.experiments import Experiment, SplitPlan

SESSIONS = 420
"""History of the trial market."""
BOUNDARIES = (240, 300, 361, 400)
"""Sessions at which an experiment ends: a split and a scaler for each, as it would have been made then."""
SHORT = SplitPlan(validation_sessions=40, embargo_sessions=5)
BOUNDARY = "event_time"

Scaled = Callable[[WindowSet, Split], WindowSet]


def training_subjects() -> tuple[LeakSubject, ...]:
    """Return the split and the scaler of training as subjects of the leak checks."""
    return (
        LeakSubject(
            "split",
            "champion_split",
            split_rows,
            ("symbol", "session", BOUNDARY),
            "event_time",
            SESSIONS,
            instants=_ends,
        ),
        LeakSubject("scaler", "fit_scaler", scaler_rows, ("feature", BOUNDARY), "event_time", SESSIONS, instants=_ends),
    )


def split_rows(world: World, split_of: Callable[[pl.DataFrame, Experiment], Split] = champion_split) -> pl.DataFrame:
    """Return which rows each split trains and validates on: part and end of the label by symbol, session and boundary.

    Raises
    ------
    LookAheadError
        If a label of the training part ends after the validation starts.
    """
    labels = compute_labels(world.bars).with_columns(pl.concat_str(pl.lit(END), "horizon_sessions").alias("end"))
    ends = [f"{END}{horizon}" for horizon in HORIZONS]
    keys = labels.pivot(on="end", on_columns=ends, index=["symbol", "event_time"], values="known_time")
    keys = keys.with_columns(pl.max_horizontal(ends).alias("label_end"))
    frames = [
        pl.DataFrame(
            schema={
                "symbol": pl.String,
                "session": keys.schema["event_time"],
                BOUNDARY: keys.schema["event_time"],
                "part": pl.String,
                "label_end": keys.schema["event_time"],
            }
        )
    ]
    for end in _ends(world):
        known = keys.sort("symbol", "event_time")
        split = split_of(known, _experiment(end))
        train, valid = (
            known_before(known[rows], cut) for rows, cut in ((split.train, split.cuts[0]), (split.valid, split.cuts[1]))
        )
        assert_no_overlap(split, train, valid)
        for part, rows in (("train", train), ("valid", valid)):
            frames.append(
                rows.select(
                    "symbol",
                    pl.col("event_time").alias("session"),
                    pl.lit(end).cast(keys.schema["event_time"]).alias(BOUNDARY),
                    pl.lit(part).alias("part"),
                    "label_end",
                )
            )
    return pl.concat(frames)


def scaler_rows(
    world: World, chosen: Callable[[WindowSet, Split], WindowSet] = lambda all_, split: all_.take(split.train)
) -> pl.DataFrame:
    """Return mean and spread of each feature as each split's training windows give them."""
    instant = world.bars.schema["event_time"]
    frames = [pl.DataFrame(schema={"feature": pl.String, BOUNDARY: instant, "mean": pl.Float64, "spread": pl.Float64})]
    try:
        windows = build_window_set(compute_technical(world.bars), compute_labels(world.bars))
    except NotReadyError:
        return frames[0]
    for end in _ends(world):
        scaler = fit_scaler(chosen(windows, champion_split(windows.keys, _experiment(end))).x)
        frames.append(
            pl.DataFrame(
                {
                    "feature": FORECAST_V2.features,
                    BOUNDARY: pl.Series([end] * len(FORECAST_V2.features), dtype=instant),
                    "mean": scaler.mean.astype(np.float64),
                    "spread": scaler.std.astype(np.float64),
                }
            )
        )
    return pl.concat(frames)


def _ends(world: World) -> list[datetime]:
    """Boundaries that the world has come to, counted over the calendar so that no future moves them."""
    return [end for number, end in enumerate(world.sessions) if number in BOUNDARIES]


def _experiment(end: datetime) -> Experiment:
    return Experiment(train_until=end.date(), splits=SHORT)
