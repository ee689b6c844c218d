"""Fit a model for service: of several seeds the best, each of them recorded."""

from collections.abc import Mapping
from typing import Any

from lake.ledger import TrialLedger
from training.data import WindowSet
from training.experiments import Experiment
from training.fit.fit import fits_of_seeds, refit
from training.fit.fitted import Fitted
from training.fit.recorded import ValidationTrials
from training.models import card_of


def fit_best(
    model: str,
    train: WindowSet,
    valid: WindowSet,
    experiment: Experiment,
    parameters: Mapping[str, Any] | None = None,
    *,
    ledger: TrialLedger,
) -> Fitted:
    """Fit a network once per seed, and refit that with the lowest validation loss; other models are fitted once.

    A seed whose forecasts do not vary over the validation windows is taken only where those of no other do.

    Parameters
    ----------
    ledger
        Where each seed of a network is recorded with its gains on naive, before one is chosen; and the look at the
        last test interval, where the validation windows reach into it. A model that is fitted at once learns from the
        validation windows too: nothing is scored, and nothing is recorded.
    """
    fits = list(fits_of_seeds(model, train, valid, experiment, parameters))
    if card_of(model).is_network:
        settings = {"optimisation": experiment.optimisation.model_dump(mode="json")}
        trials = ValidationTrials("seed_choice", model, train, valid, experiment, settings, ledger)
        trials.open_last_interval("the seed and the epochs of the fit for service are chosen by its loss")
        trials.fitted(fits)
    varying = [fitted for fitted in fits if len(fits) > 1 and not fitted.variation(valid.x).is_constant]
    best = min(varying or fits, key=lambda fitted: fitted.loss)
    return refit(best, train, valid, experiment)
