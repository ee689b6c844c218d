"""What a training would do before it does it: windows, folds, fits, trials, and how long at rates measured before."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training.experiments.config import Experiment
from training.models import ModelCard, card_of

MINUTE, HOUR = 60, 3_600


@dataclass(frozen=True)
class TrainingPlan:
    """Sizes of a training; every count of passes is the most there can be, because networks stop early.

    Parameters
    ----------
    experiment
        Its name.
    windows
        Training windows of the largest split.
    folds, models, seeds, trials
        Splits that are tested on, models that are judged, seeds of each network, parameter sets tried for each
        searched model.
    fits
        Fits of all models together: each fold, each seed, the trials, and the models that are served.
    passes
        Windows that each network reads, a window once for each pass over it, by model.
    rates
        Windows a second that this home's last training of a network read, by model; none where it trained none.
    measured_over
        Training windows of that training; 0 where there is none.
    """

    experiment: str
    windows: int
    folds: int
    models: int
    seeds: int
    trials: int
    fits: int
    passes: dict[str, int]
    rates: dict[str, float]
    measured_over: int

    @property
    def seconds(self) -> float | None:
        """Longest the networks take at the measured rates; null where the rate of one of them is not known."""
        if not self.passes.keys() <= self.rates.keys():
            return None
        return sum(count / self.rates[model] for model, count in self.passes.items())

    def sentences(self) -> Iterator[str]:
        """Yield what would be trained, and how long it takes as far as that is known."""
        yield (
            f"The experiment '{self.experiment}' trains on {self.windows:,} windows: {self.models} models in "
            f"{self.folds} folds, {self.seeds} seed{'s' * (self.seeds > 1)} and {self.trials} trials a network, "
            f"{self.fits:,} fits together."
        )
        most = f"The networks read at most {sum(self.passes.values()):,} windows, fewer where they stop early"
        if self.seconds is None:
            yield f"{most}; how long that takes is not known here, because this home has trained no network yet."
        else:
            rates = ", ".join(f"{model} {rate:,.0f}" for model, rate in sorted(self.rates.items()))
            yield (
                f"{most}: {_duration(self.seconds)} at most, at the windows a second of the last training in this home "
                f"({rates}; it had {self.measured_over:,} windows, and small trainings are slow ones)."
            )


def plan_training(experiment: Experiment, rows: int, trainings: Path) -> TrainingPlan:
    """Return what an experiment would do with that many rows to learn from.

    Parameters
    ----------
    rows
        Bars of all symbols up to the end of knowledge.
    trainings
        Folder of the trainings of this home, whose records give the rates; it need not exist.

    Examples
    --------
    >>> plan = plan_training(Experiment(), 74_000, Path("nowhere"))
    >>> plan.windows, plan.folds, plan.trials, plan.seconds is None
    (74000, 3, 40, True)
    """
    windows = rows // experiment.splits.train_stride_sessions
    folds, seeds, search = len(experiment.test_intervals), len(experiment.seeds), experiment.search
    cards = [card_of(name) for name in experiment.models]
    networks = [card for card in cards if card.is_network]
    optimisation = experiment.optimisation
    a_fit = optimisation.epochs * min(windows, optimisation.epoch_windows or windows)
    a_trial = search.epochs * min(windows, search.train_windows, optimisation.epoch_windows or windows)
    judged = 2 * folds * seeds + seeds + 1  # fitted and refitted in each fold; for service refitted once
    passes = {card.name: judged * a_fit + (search.trials * a_trial if card.space else 0) for card in networks}
    fits = sum((folds + 1) * (seeds if card.is_network else 1) for card in cards)
    fits += search.trials * sum(bool(card.space) for card in cards)
    rates, measured_over = _rates(trainings, networks)
    trials = search.trials
    return TrainingPlan(experiment.name, windows, folds, len(cards), seeds, trials, fits, passes, rates, measured_over)


def _rates(trainings: Path, networks: Iterable[ModelCard]) -> tuple[dict[str, float], int]:
    """Windows a second of the newest training that has networks, by model, and over how many windows."""
    records = sorted(trainings.glob("*/trained_models.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for record in records:
        found = json.loads(record.read_text(encoding="utf-8"))
        rates = {
            card.name: each["windows"] * (each["epochs"] + each["epochs_of_refit"]) / each["seconds"]
            for card in networks
            if (each := found.get(card.name)) and each["seconds"] and each["epochs"]
        }
        if rates:
            return rates, max(found[name]["windows"] for name in rates)
    return {}, 0


def _duration(seconds: float) -> str:
    """Say a duration in the unit that fits.

    Examples
    --------
    >>> _duration(40), _duration(600), _duration(9_000)
    ('1 minute', '10 minutes', '2.5 hours')
    """
    if seconds >= 2 * HOUR:
        return f"{seconds / HOUR:,.1f} hours"
    minutes = max(1, round(seconds / MINUTE))
    return f"{minutes} minute{'s' * (minutes > 1)}"
