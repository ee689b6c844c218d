"""Walk-forward evaluation: the forecasts of each model for each test year, and how they compare with naive."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets import FORECAST_V2, QUANTILES
from lake.calendars import VENUE
from lake.horizon_ends import bars_spanned
from lake.tables import EVALUATIONS
from training.data import WindowSet, assert_learnt_before, assert_no_overlap, walk_forward
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
from training.models import BASELINE, card_of, variation_of
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
    seed
        What the model drew its random numbers from; None where nothing is drawn.
    """

    model: str
    fold: str
    truth: WindowSet
    quantiles: npt.NDArray[np.float32]
    seconds: float = 0.0
    seed: int | None = None

    @property
    def label(self) -> str:
        """Which fit it is, for a reader."""
        return f"{self.model} judged on {self.fold}" + ("" if self.seed is None else f", seed {self.seed}")


def forecast_folds(
    windows: WindowSet, experiment: Experiment, parameters: Parameters, *, progress: Progress = no_progress
) -> Iterator[FoldForecast]:
    """Fit every model before every test interval, and yield its forecasts for the interval.

    A network is fitted as it is for service, refit included, once per seed of the experiment; each seed's forecasts are
    yielded by themselves. A fit whose forecasts do not vary is yielded like any other, and `progress` is told.

    Parameters
    ----------
    windows
        Everything known at the end of knowledge.
    parameters
        By model; the experiment's own where a model is missing.

    Raises
    ------
    LookAheadError
        If a split lets a training label end at or after the start of its test, or a model learnt from one.
    """
    from training.fit import fit_each_seed, threads

    for split in walk_forward(windows.keys, experiment):
        train, valid, test = windows.parts_of(split)
        assert_no_overlap(split, train.keys, valid.keys)
        for model in experiment.models:
            started = time.perf_counter()
            for fitted in fit_each_seed(model, train, valid, experiment, parameters.get(model)):
                seconds = time.perf_counter() - started
                assert_learnt_before(split, fitted.learnt_until)
                with threads(experiment.optimisation.threads):
                    quantiles = fitted.predict(test.x)
                seed = fitted.seed if card_of(model).is_network else None
                forecast = FoldForecast(model, split.name, test, quantiles, seconds, seed)
                progress(f"{forecast.label}: fitted on {fitted.learnt_from:,} windows in {seconds:.1f} s")
                if (
                    variation := variation_of(quantiles, test.x, FORECAST_V2, test.horizons)
                ).is_constant and not card_of(model).is_baseline:
                    progress(f"{forecast.label}: its forecasts do not vary ({variation})")
                yield forecast
                started = time.perf_counter()


def of_seeds(forecasts: Sequence[FoldForecast]) -> list[list[FoldForecast]]:
    """Return the forecasts of one model by seed, in the order they came."""
    by_seed: dict[int | None, list[FoldForecast]] = {}
    for forecast in forecasts:
        by_seed.setdefault(forecast.seed, []).append(forecast)
    return list(by_seed.values())


def score_folds(
    forecasts: list[FoldForecast],
    *,
    experiment: str,
    known_time: datetime,
    stride_sessions: int = 1,
    grid: str = VENUE,
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
    grid
        Of the bars, by which a horizon in sessions spans bars of minutes.

    Returns
    -------
    pl.DataFrame
        In the columns of `evaluations`; `beats_naive` compares the pinball loss with naive's of the same fold and
        horizon, `advantage_t` says how sure that is. Scores of a model with several seeds are means over them.
    """
    models, folds = (dict.fromkeys(getattr(one, what) for one in forecasts) for what in ("model", "fold"))
    grouped = [[one for one in forecasts if (one.model, one.fold) == (m, f)] for m in models for f in folds]
    grouped = [group for group in grouped if group]
    everywhere = [_all_folds([one for one in forecasts if one.model == model]) for model in models]
    naives = {group[0].fold: group for group in [*grouped, *everywhere] if group[0].model == BASELINE}
    rows = [
        {
            "experiment": experiment,
            "known_time": known_time,
            **_scores(group, naives[group[0].fold], number, overlap=overlap_of(horizon, grid, stride_sessions)),
        }
        for group in [*grouped, *everywhere]
        for number, horizon in enumerate(forecasts[0].truth.horizons)
    ]
    table = pl.DataFrame(rows, schema_overrides=EVALUATIONS.schema | {"beats_naive": pl.Null})
    same = ["fold", "horizon_sessions"]
    naive = table.filter(pl.col("model") == BASELINE).select(*same, pl.col("pinball_loss").alias("of_naive"))
    beats = pl.col("pinball_loss") < pl.col("of_naive")
    return table.join(naive, on=same, how="left").with_columns(beats.alias("beats_naive")).select(EVALUATIONS.names)


def overlap_of(horizon: int, grid: str, stride_sessions: int) -> int:
    """Return with how many later test windows the outcome of one overlaps, at most.

    Examples
    --------
    >>> overlap_of(5, "XNYS", 1), overlap_of(5, "XNYS", 5), overlap_of(1_000, "24/7@60m", 1)
    (4, 0, 46)
    """
    return (bars_spanned(horizon, grid).most - 1) // stride_sessions


def measures_of(table: pl.DataFrame) -> list[Measure]:
    """Return one model's rows of the model table as numbers to track; a fold is a step, by its year or first day."""
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
    return 0 if row["fold"] == OVERALL else int(row["fold"].replace("-", ""))


def _all_folds(forecasts: Sequence[FoldForecast]) -> list[FoldForecast]:
    """Return the forecasts of one model over all folds, one for each seed."""
    return [join_folds(folds) for folds in of_seeds(forecasts)]


def _scores(seeds: list[FoldForecast], naive: list[FoldForecast], number: int, *, overlap: int) -> dict[str, Any]:
    """Score the forecasts of one model's seeds for one interval together: every mean is one over seeds as well."""
    forecast = join_folds(seeds)
    truth, levels = forecast.truth.y[:, number], forecast.quantiles[:, number]  # [window], [window, quantile]
    median = levels[:, 1]
    correlations = [
        information_coefficient(
            one.truth.keys["event_time"].to_numpy(),
            one.truth.y[:, number],
            one.quantiles[:, number, 1],
            overlap=overlap,
        )
        for one in seeds
    ]
    saved = session_losses(join_folds(naive), number) - session_losses(forecast, number)
    return {
        "model": forecast.model,
        "fold": seeds[0].fold,
        "horizon_sessions": forecast.truth.horizons[number],
        "rows": int(np.isfinite(seeds[0].truth.y[:, number]).sum()),
        "mean_absolute_error": mean_absolute_error(truth, median),
        "pinball_loss": pinball_loss(truth, levels, QUANTILES),
        "information_coefficient": _mean([one.mean for one in correlations]),
        "information_coefficient_t": _mean([one.t_value for one in correlations]),
        "hit_rate": hit_rate(truth, median),
        "coverage": coverage(truth, levels[:, 0], levels[:, 2]),
        "advantage_t": t_value(saved, overlap),
        "event_time": forecast.truth.keys["label_end"].max(),
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def session_losses(forecast: FoldForecast, number: int) -> npt.NDArray[np.float64]:
    """Mean pinball loss of each session, in order of time: its symbols, and seeds, move together and count once."""
    of_windows = quantile_losses(
        forecast.truth.y[:, number].astype(np.float64), forecast.quantiles[:, number], QUANTILES
    )
    losses = forecast.truth.keys.select("event_time").with_columns(pl.Series("loss", of_windows.mean(axis=1)))
    losses = losses.filter(pl.col("loss").is_not_nan())  # an outcome that is not known judges nothing
    return losses.group_by("event_time").agg(pl.col("loss").mean()).sort("event_time")["loss"].to_numpy()


def join_folds(forecasts: Sequence[FoldForecast]) -> FoldForecast:
    """Return the forecasts of one model for all its folds, or of all its seeds, as one; seeds repeat the windows."""
    parts = [forecast.truth for forecast in forecasts]
    truth = WindowSet(
        x=np.zeros((sum(map(len, parts)), 0, 0), np.float32),
        y=np.concatenate([part.y for part in parts]),
        keys=pl.concat([part.keys for part in parts]),
        horizons=parts[0].horizons,
    )
    return FoldForecast(
        forecasts[0].model, OVERALL, truth, np.concatenate([forecast.quantiles for forecast in forecasts])
    )
