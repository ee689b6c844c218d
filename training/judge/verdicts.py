"""Verdicts: each model against the best baseline, with a correction for how many were compared."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from statistics import NormalDist

from feature_repo.targets import HORIZONS, QUANTILES
from training.judge.evaluate import FoldForecast, join_folds, session_losses
from training.judge.metrics import pinball_loss, t_value
from training.models import MODELS

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
    """

    model: str
    baseline: str
    horizon_sessions: int
    gain: float
    won: int
    folds: int
    t_value: float | None
    p_value: float

    @property
    def beats(self) -> bool:
        """Whether its loss is lower, and chance is ruled out as the reason."""
        return self.gain > 0 and self.p_value <= ALPHA

    def __str__(self) -> str:
        """Return the sentence for a reader."""
        what = "beats" if self.gain > 0 else "does not beat"
        chance = ": chance alone could explain it" if self.gain > 0 and not self.beats else ""
        return (
            f"{self.model} {what} {self.baseline}, the best baseline, at {self.horizon_sessions} session(s) ahead by "
            f"pinball loss ({self.gain:+.2%}, in {self.won} of {self.folds} folds, t {self.t_value or 0.0:.1f}, "
            f"adjusted p {self.p_value:.2g}{chance})"
        )


def compare_with_best_baseline(forecasts: Sequence[FoldForecast], *, stride_sessions: int = 1) -> list[ModelComparison]:
    """Compare every model that is no baseline with the best baseline of each horizon.

    Parameters
    ----------
    forecasts
        Of every model over the same folds, a baseline among them.
    stride_sessions
        Every how many sessions a test window ends; see `score_folds`.

    Returns
    -------
    list[ModelComparison]
        By model and horizon, in the order of the forecasts. The best baseline is chosen over all folds, which favours
        it: what beats it beats every other one.
    """
    by_model: dict[str, list[FoldForecast]] = {}
    for forecast in forecasts:
        by_model.setdefault(forecast.model, []).append(forecast)
    baselines = {name: join_folds(folds) for name, folds in by_model.items() if _is_baseline(name)}
    best = [min((_loss(each, number), name) for name, each in baselines.items())[1] for number in range(len(HORIZONS))]
    found = []
    for name, folds in by_model.items():
        if name not in baselines:
            found += [
                compare_models(folds, by_model[best[number]], number, stride_sessions=stride_sessions)
                for number in range(len(HORIZONS))
            ]
    return adjusted(found)


def compare_models(
    ours: Sequence[FoldForecast], theirs: Sequence[FoldForecast], number: int, *, stride_sessions: int = 1
) -> ModelComparison:
    """Compare one model with another over the same folds; the p-value allows for no other comparison.

    Parameters
    ----------
    number
        Place of the horizon in `HORIZONS`.
    """
    horizon = HORIZONS[number]
    all_ours, all_theirs = join_folds(ours), join_folds(theirs)
    saved = session_losses(all_theirs, number) - session_losses(all_ours, number)
    t = t_value(saved, (horizon - 1) // stride_sessions)
    won = sum(_loss(one, number) < _loss(other, number) for one, other in zip(ours, theirs, strict=True))
    return ModelComparison(
        model=ours[0].model,
        baseline=theirs[0].model,
        horizon_sessions=horizon,
        gain=1 - _loss(all_ours, number) / _loss(all_theirs, number),
        won=won,
        folds=len(ours),
        t_value=t,
        p_value=1.0 if t is None else NormalDist().cdf(-t),
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


def _is_baseline(model: str) -> bool:
    return model in MODELS and MODELS[model].is_baseline


def _loss(forecast: FoldForecast, number: int) -> float:
    loss = pinball_loss(forecast.truth.y[:, number], forecast.quantiles[:, number], QUANTILES)
    assert loss is not None
    return loss
