"""Walk-forward evaluation: the forecasts of each model for each test year, and how they compare with naive."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.targets import FORECAST_V2, QUANTILES
from lake.calendars import VENUE
from lake.ledger import TrialLedger
from lake.tables import EVALUATIONS
from training.data import (
    Split,
    WindowSet,
    assert_learnt_before,
    assert_no_overlap,
    losses_by_session,
    overlap_of,
    walk_forward,
)
from training.experiments import Experiment
from training.judge.fold_forecasts import OVERALL, FoldForecast, join_folds, of_seeds
from training.judge.metrics import (
    coverage,
    hit_rate,
    information_coefficient,
    mean_absolute_error,
    pinball_loss,
    t_value,
)
from training.judge.recorded import open_last_interval, walk_forward_trials
from training.models import BASELINE, card_of, variation_of
from training.tracking import Measure, Progress, no_progress

Parameters = Mapping[str, Mapping[str, Any]]
"""Parameters by model."""


def forecast_folds(
    windows: WindowSet,
    experiment: Experiment,
    parameters: Parameters,
    *,
    ledger: TrialLedger,
    progress: Progress = no_progress,
) -> list[FoldForecast]:
    """Fit every model before every test interval, and return its forecasts for the interval.

    A network is fitted as it is for service, refit included, once per seed of the experiment; each seed's forecasts are
    returned by themselves. A fit whose forecasts do not vary is returned like any other, and `progress` is told.

    Nothing else makes forecasts for test intervals, so nothing that was judged is missing from the trial ledger: the
    look at the last interval is written down before it, and each model, seed and horizon with its gains on naive per
    session before the forecasts are returned.

    Parameters
    ----------
    windows
        Everything known at the end of knowledge.
    parameters
        By model; the experiment's own where a model is missing.
    ledger
        Where the trials are recorded.

    Raises
    ------
    LookAheadError
        If a split lets a training label end at or after the start of its test, or a model learnt from one.
    """
    splits = walk_forward(windows.keys, experiment)
    open_last_interval(windows, experiment, splits[-1], ledger)
    forecasts = [one for split in splits for one in _of_split(windows, split, experiment, parameters, progress)]
    ledger.record(walk_forward_trials(forecasts, experiment, parameters))
    return forecasts


def _of_split(
    windows: WindowSet, split: Split, experiment: Experiment, parameters: Parameters, progress: Progress
) -> Iterator[FoldForecast]:
    from training.fit import fit_each_seed, threads

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
            variation = variation_of(quantiles, test.x, FORECAST_V2, test.horizons)
            if variation.is_constant and not card_of(model).is_baseline:
                progress(f"{forecast.label}: its forecasts do not vary ({variation})")
            yield forecast
            started = time.perf_counter()


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
    """Mean pinball loss of each session, in order of time; see `training.data.losses_by_session`."""
    return losses_by_session(forecast.truth, forecast.quantiles, number)["loss"].to_numpy()
