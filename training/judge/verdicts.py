"""Verdicts: each model against the best baseline, with a correction for how many were compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from statistics import NormalDist, stdev
from typing import Any

import numpy as np
import polars as pl

from feature_repo.targets import FORECAST_V2, QUANTILES
from lake.calendars import VENUE
from lake.horizons import horizon_of, interval_of
from lake.tables import VERDICTS
from training.data import overlap_of
from training.judge.evaluate import session_losses
from training.judge.fold_forecasts import FoldForecast, join_folds, of_seeds
from training.judge.metrics import hit_rate, pinball_loss, t_value
from training.models import BASELINE, MODELS, Variation, variation_of

ALPHA = 0.05
"""Adjusted p-value up to which an advantage is called more than chance."""


@dataclass(frozen=True)
class ModelComparison:
    """One model beside the baseline with the lowest pinball loss at one horizon.

    Parameters
    ----------
    gain
        Part of the baseline's loss that is saved; negative where the model is worse.
    won, folds
        Test intervals in which the model's loss is lower, and how many there are.
    t_value
        Of the mean difference in loss over sessions, Newey-West where outcomes overlap; None without a spread.
    p_value
        One-sided, adjusted by Holm's method for all comparisons of the table (S. Holm, *A Simple Sequentially
        Rejective Multiple Test Procedure*, Scandinavian Journal of Statistics 6, 1979).
    loss
        Mean pinball loss of the model, over quantiles, sessions and seeds.
    seeds, loss_spread
        Fits with different random numbers that losses are the mean of, and the standard deviation of the loss over
        them; None for one seed, which has no spread.
    grid
        Of the bars, by which the horizon is named.
    constant_fits, fits
        Fits, one per fold and seed, whose forecasts do not vary at this horizon, and how many there are.
    """

    model: str
    baseline: str
    horizon_sessions: int
    gain: float
    won: int
    folds: int
    t_value: float | None
    p_value: float
    loss: float = 0.0
    seeds: int = 1
    loss_spread: float | None = None
    constant_fits: int = 0
    fits: int = 1
    grid: str = VENUE

    @property
    def is_constant(self) -> bool:
        """Whether the forecasts of half of its fits or more are a volatility times one shape: it learnt nothing."""
        return 2 * self.constant_fits >= self.fits

    @property
    def beats(self) -> bool:
        """Whether its loss is lower, chance is ruled out as the reason, and its forecasts vary."""
        return self.gain > 0 and self.p_value <= ALPHA and not self.is_constant

    def __str__(self) -> str:
        """Return the sentence for a reader."""
        what = "beats" if self.gain > 0 and not self.is_constant else "does not beat"
        chance = ": chance alone could explain it" if self.gain > 0 and self.p_value > ALPHA else ""
        same = f"; {self.constant_fits} of {self.fits} fits are constant" if self.constant_fits else ""
        ahead = horizon_of(self.horizon_sessions, interval_of(self.grid))
        spread = "" if self.loss_spread is None else f", mean of {self.seeds} seeds"
        return (
            f"{self.model} {what} {self.baseline}, the best baseline, {ahead} ahead by pinball loss "
            f"({self.gain:+.2%}, in {self.won} of {self.folds} folds, t {self.t_value or 0.0:.1f}, "
            f"adjusted p {self.p_value:.2g}{chance}{spread}{same})"
        )


def compare_with_best_baseline(
    forecasts: Sequence[FoldForecast], *, stride_sessions: int = 1, grid: str = VENUE
) -> list[ModelComparison]:
    """Compare every model that is no baseline with the best baseline of each horizon.

    Parameters
    ----------
    forecasts
        Of every model over the same folds, a baseline among them.
    stride_sessions, grid
        Every how many sessions a test window ends, and the grid of the bars; see `score_folds`.

    Returns
    -------
    list[ModelComparison]
        By model and horizon, in the order of the forecasts. The best baseline is chosen over all folds, which favours
        it: what beats it beats every other one.
    """
    models, best = _by_model(forecasts), best_baselines(forecasts)
    return adjusted(
        [
            compare_models(folds, models[best[number]], number, stride_sessions=stride_sessions, grid=grid)
            for name, folds in models.items()
            if not _is_baseline(name)
            for number in range(len(best))
        ]
    )


def best_baselines(forecasts: Sequence[FoldForecast]) -> list[str]:
    """Return the baseline with the lowest pinball loss over all folds, for each horizon."""
    baselines = {name: join_folds(folds) for name, folds in _by_model(forecasts).items() if _is_baseline(name)}
    count = len(forecasts[0].truth.horizons)
    return [min((_loss(each, number), name) for name, each in baselines.items())[1] for number in range(count)]


def verdict_table(
    forecasts: Sequence[FoldForecast],
    *,
    experiment: str,
    known_time: datetime,
    stride_sessions: int = 1,
    grid: str = VENUE,
) -> pl.DataFrame:
    """Return one row per model and horizon: what the walk-forward evaluation says of it beside the best baseline.

    Parameters
    ----------
    forecasts, stride_sessions, grid
        As for `compare_with_best_baseline`, naive among them.
    experiment, known_time
        Name the rows are kept under, and market time at which the judgement was made.

    Returns
    -------
    pl.DataFrame
        In the columns of `verdicts`. A baseline is compared with naive, has no p-value, and beats nothing.
    """
    models, best = _by_model(forecasts), best_baselines(forecasts)
    found = compare_with_best_baseline(forecasts, stride_sessions=stride_sessions, grid=grid)
    found += [
        compare_models(folds, models[BASELINE], number, stride_sessions=stride_sessions, grid=grid)
        for name, folds in models.items()
        if _is_baseline(name)
        for number in range(len(best))
    ]
    about = {"experiment": experiment, "known_time": known_time}
    rows = [about | _row(one, models[one.model], best) for one in found]
    return pl.DataFrame(rows, schema_overrides=VERDICTS.schema).select(VERDICTS.names)


def _row(one: ModelComparison, folds: list[FoldForecast], best: list[str]) -> dict[str, Any]:
    number, is_baseline = folds[0].truth.horizons.index(one.horizon_sessions), _is_baseline(one.model)
    all_folds = join_folds(folds)
    truth = all_folds.truth.y[:, number]
    return {
        "model": one.model,
        "horizon_sessions": one.horizon_sessions,
        "is_baseline": is_baseline,
        "is_constant": one.is_constant and not is_baseline,
        "best_baseline": best[number],
        "pinball_loss": one.loss,
        "seeds": one.seeds,
        "loss_spread": one.loss_spread,
        "gain": one.gain,
        "gain_t": one.t_value,
        "p_value": None if is_baseline else one.p_value,
        "folds_won": one.won,
        "folds": one.folds,
        "beats_best_baseline": one.beats and not is_baseline,
        "hit_rate": hit_rate(truth, all_folds.quantiles[:, number, 1]),
        "base_rate": float((truth[np.isfinite(truth)] > 0).mean()),
        "event_time": all_folds.truth.keys["label_end"].max(),
    }


def compare_models(
    ours: Sequence[FoldForecast],
    theirs: Sequence[FoldForecast],
    number: int,
    *,
    stride_sessions: int = 1,
    grid: str = VENUE,
) -> ModelComparison:
    """Compare one model with another over the same folds; the p-value allows for no other comparison.

    Parameters
    ----------
    number
        Place of the horizon among those of the forecasts.
    """
    horizon = ours[0].truth.horizons[number]
    all_ours, all_theirs = join_folds(ours), join_folds(theirs)
    saved = session_losses(all_theirs, number) - session_losses(all_ours, number)
    t = t_value(saved, overlap_of(horizon, grid, stride_sessions))
    folds = dict.fromkeys(one.fold for one in ours)
    won = sum(_loss_in(fold, ours, number) < _loss_in(fold, theirs, number) for fold in folds)
    losses = [_loss(join_folds(each), number) for each in of_seeds(ours)]
    return ModelComparison(
        model=ours[0].model,
        baseline=theirs[0].model,
        horizon_sessions=horizon,
        gain=1 - _loss(all_ours, number) / _loss(all_theirs, number),
        won=won,
        folds=len(folds),
        t_value=t,
        p_value=1.0 if t is None else NormalDist().cdf(-t),
        loss=_loss(all_ours, number),
        seeds=len(losses),
        loss_spread=stdev(losses) if len(losses) > 1 else None,
        constant_fits=sum(_variation(one).is_constant_at(number) for one in ours),
        fits=len(ours),
        grid=grid,
    )


def adjusted(comparisons: Sequence[ModelComparison]) -> list[ModelComparison]:
    """Return the comparisons with Holm's p-values in place of their own.

    Examples
    --------
    >>> three = [ModelComparison("a", "naive", 1, 0.1, 1, 1, None, p) for p in (0.01, 0.04, 0.03)]
    >>> [round(one.p_value, 3) for one in adjusted(three)]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(comparisons)), key=lambda place: comparisons[place].p_value)
    scaled = [comparisons[place].p_value * (len(order) - rank) for rank, place in enumerate(order)]
    values = dict(zip(order, accumulate(scaled, max), strict=True))
    return [replace(one, p_value=min(values[place], 1.0)) for place, one in enumerate(comparisons)]


def _variation(one: FoldForecast) -> Variation:
    return variation_of(one.quantiles, one.truth.x, FORECAST_V2, one.truth.horizons)


def _is_baseline(model: str) -> bool:
    return model in MODELS and MODELS[model].is_baseline


def _by_model(forecasts: Sequence[FoldForecast]) -> dict[str, list[FoldForecast]]:
    by_model: dict[str, list[FoldForecast]] = {}
    for forecast in forecasts:
        by_model.setdefault(forecast.model, []).append(forecast)
    return by_model


def _loss_in(fold: str, forecasts: Sequence[FoldForecast], number: int) -> float:
    return _loss(join_folds([one for one in forecasts if one.fold == fold]), number)


def _loss(forecast: FoldForecast, number: int) -> float:
    loss = pinball_loss(forecast.truth.y[:, number], forecast.quantiles[:, number], QUANTILES)
    assert loss is not None
    return loss
