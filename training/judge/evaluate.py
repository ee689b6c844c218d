"""Walk-forward evaluation: the forecasts of each model for each test year, and how they compare with naive."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets import HORIZONS, QUANTILES
from lake.tables import EVALUATIONS
from training.data import WindowSet, assert_no_overlap, walk_forward
from training.experiments import Experiment
from training.judge.metrics import (
    coverage,
    hit_rate,
    information_coefficient,
    mean_absolute_error,
    pinball_loss,
    quantile_losses,
    t_value,
)
from training.models import BASELINE
from training.tracking import Measure, Progress, no_progress

OVERALL = "overall"
"""Name of the row that scores the forecasts of all folds together."""

Parameters = Mapping[str, Mapping[str, Any]]
"""Parameters by model."""


@dataclass(frozen=True)
class FoldForecast:
    """Forecasts of one model for one test interval.

    Parameters
    ----------
    model, fold
        Whose, and of which interval.
    truth
        The windows it was asked about.
    quantiles
        float32 ``[window, horizon, quantile]``.
    seconds
        How long fitting took.
    """

    model: str
    fold: str
    truth: WindowSet
    quantiles: npt.NDArray[np.float32]
    seconds: float = 0.0


def forecast_folds(
    windows: WindowSet, experiment: Experiment, parameters: Parameters, *, progress: Progress = no_progress
) -> Iterator[FoldForecast]:
    """Fit every model before every test interval, and yield its forecasts for the interval.

    Parameters
    ----------
    windows
        Everything known at the end of knowledge.
    parameters
        By model; the experiment's own where a model is missing.

    Raises
    ------
    LookAheadError
        If a split lets a training label end at or after the start of its test.
    """
    from training.fit import fit_best, threads

    for split in walk_forward(windows.keys, experiment):
        assert_no_overlap(windows.keys, split)
        train, valid, test = (windows.take(rows) for rows in (split.train, split.valid, split.test))
        for model in experiment.models:
            started = time.perf_counter()
            fitted = fit_best(model, train, valid, experiment, parameters.get(model))
            seconds = time.perf_counter() - started
            progress(f"{model} judged on {split.name}: fitted on {len(train):,} windows in {seconds:.1f} s")
            with threads(experiment.optimisation.threads):
                quantiles = fitted.predict(test.x)
            yield FoldForecast(model, split.name, test, quantiles, seconds)


def score_folds(
    forecasts: list[FoldForecast], *, experiment: str, known_time: datetime, stride_sessions: int = 1
) -> pl.DataFrame:
    """Return the model table: one row per model, fold and horizon, and one over all folds.

    Parameters
    ----------
    forecasts
        Of every model over the same folds, naive among them.
    experiment
        Name the rows are kept under.
    known_time
        Market time at which the judgement was made.
    stride_sessions
        Every how many sessions a test window ends: outcomes of a horizon longer than that overlap, which the t-value
        of the rank correlation allows for.

    Returns
    -------
    pl.DataFrame
        In the columns of `evaluations`; `beats_naive` compares the pinball loss with naive's of the same fold and
        horizon, `advantage_t` says how sure that is.
    """
    models = dict.fromkeys(forecast.model for forecast in forecasts)
    joined = [join_folds([forecast for forecast in forecasts if forecast.model == model]) for model in models]
    naives = {forecast.fold: forecast for forecast in [*forecasts, *joined] if forecast.model == BASELINE}
    rows = [
        {
            "experiment": experiment,
            "known_time": known_time,
            **_scores(forecast, naives[forecast.fold], number, overlap=(horizon - 1) // stride_sessions),
        }
        for forecast in [*forecasts, *joined]
        for number, horizon in enumerate(HORIZONS)
    ]
    table = pl.DataFrame(rows, schema_overrides=EVALUATIONS.schema | {"beats_naive": pl.Null})
    same = ["fold", "horizon_sessions"]
    naive = table.filter(pl.col("model") == BASELINE).select(*same, pl.col("pinball_loss").alias("of_naive"))
    beats = pl.col("pinball_loss") < pl.col("of_naive")
    return table.join(naive, on=same, how="left").with_columns(beats.alias("beats_naive")).select(EVALUATIONS.names)


def measures_of(table: pl.DataFrame) -> list[Measure]:
    """Return one model's rows of the model table as numbers to track; a fold is a step, by its year."""
    names = ("mean_absolute_error", "pinball_loss", "information_coefficient", "hit_rate", "coverage")
    return [
        Measure(
            f"{'overall_' if row['fold'] == OVERALL else ''}{name}_{row['horizon_sessions']}", row[name], _step(row)
        )
        for row in table.iter_rows(named=True)
        for name in names
        if row[name] is not None
    ]


def _step(row: Mapping[str, Any]) -> int:
    return 0 if row["fold"] == OVERALL else int(row["fold"])


def _scores(forecast: FoldForecast, naive: FoldForecast, number: int, *, overlap: int) -> dict[str, Any]:
    truth, levels = forecast.truth.y[:, number], forecast.quantiles[:, number]  # [window], [window, quantile]
    median = levels[:, 1]
    correlation = information_coefficient(forecast.truth.keys["event_time"].to_numpy(), truth, median, overlap=overlap)
    return {
        "model": forecast.model,
        "fold": forecast.fold,
        "horizon_sessions": HORIZONS[number],
        "rows": len(truth),
        "mean_absolute_error": mean_absolute_error(truth, median),
        "pinball_loss": pinball_loss(truth, levels, QUANTILES),
        "information_coefficient": correlation.mean,
        "information_coefficient_t": correlation.t_value,
        "hit_rate": hit_rate(truth, median),
        "coverage": coverage(truth, levels[:, 0], levels[:, 2]),
        "advantage_t": t_value(session_losses(naive, number) - session_losses(forecast, number), overlap),
        "event_time": forecast.truth.keys["label_end"].max(),
    }


def session_losses(forecast: FoldForecast, number: int) -> npt.NDArray[np.float64]:
    """Mean pinball loss of each session, in order of time: symbols of one session move together and count once."""
    of_windows = quantile_losses(
        forecast.truth.y[:, number].astype(np.float64), forecast.quantiles[:, number], QUANTILES
    )
    losses = forecast.truth.keys.select("event_time").with_columns(pl.Series("loss", of_windows.mean(axis=1)))
    return losses.group_by("event_time").agg(pl.col("loss").mean()).sort("event_time")["loss"].to_numpy()


def join_folds(forecasts: Sequence[FoldForecast]) -> FoldForecast:
    """Return the forecasts of one model for all its folds as one."""
    parts = [forecast.truth for forecast in forecasts]
    truth = WindowSet(
        x=np.zeros((sum(map(len, parts)), 0, 0), np.float32),
        y=np.concatenate([part.y for part in parts]),
        keys=pl.concat([part.keys for part in parts]),
    )
    return FoldForecast(
        forecasts[0].model, OVERALL, truth, np.concatenate([forecast.quantiles for forecast in forecasts])
    )
