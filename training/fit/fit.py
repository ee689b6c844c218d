"""Fit one model, whichever it is."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import torch

from feature_repo.targets.windows import FORECAST_V2, WindowSpec
from training.data import WindowSet
from training.experiments import Experiment, Optimisation
from training.fit.fitted import Fitted
from training.fit.gradient import Watch, train_for, train_network, unwatched
from training.models import InputSpec, ModelCard, build_network, card_of

if TYPE_CHECKING:
    from training.models import base


def fit_model(
    name: str,
    train: WindowSet,
    valid: WindowSet,
    experiment: Experiment,
    parameters: dict[str, Any] | None = None,
    seed: int | None = None,
    *,
    optimisation: Optimisation | None = None,
    watch: Watch = unwatched,
    window: WindowSpec = FORECAST_V2,
) -> Fitted:
    """Fit one model on training windows, with validation windows for early stopping only.

    The scaler sees the training windows alone. With the same arguments and the same number of threads the weights are
    the same, bit for bit.

    Parameters
    ----------
    name
        One of `training.models.MODELS`.
    parameters
        As `Experiment.parameters_of` gives them, which is the default.
    seed
        By default the experiment's first one.
    optimisation
        By default the experiment's.
    watch
        Told of every epoch of a network; it may raise to stop the training.
    window
        What the windows were built with.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    ModelError
        If a network's validation loss is never a number, or a fit function returns no fitted network.

    Examples
    --------
    >>> import numpy as np
    >>> import polars as pl
    >>> x = InputSpec(FORECAST_V2.features, FORECAST_V2.sessions).example(40)
    >>> keys = pl.DataFrame({"symbol": ["A"] * 40, "event_time": range(40), "label_end": range(5, 45)})
    >>> windows = WindowSet(x, np.random.default_rng(0).normal(0, 0.01, (40, 2)).astype(np.float32), keys)
    >>> fitted = fit_model("ridge", windows, windows, Experiment())
    >>> fitted.predict(x[:3]).shape  # [window, horizon, quantile]
    (3, 2, 3)
    """
    chosen = experiment.parameters_of(name) if parameters is None else parameters
    drawn = experiment.seeds[0] if seed is None else seed
    plan = experiment.optimisation if optimisation is None else optimisation
    card, inputs = card_of(name), _inputs(window, train)
    scaler = train.scaler
    history: list[float] = []
    epochs, validated = 0, None
    with threads(plan.threads):
        network = build_network(
            name,
            inputs,
            card.outputs_over(train.horizons, experiment.calendar),
            scaler,
            seed=drawn,
            **card.sizes(chosen),
        )
        if card.is_network:
            history, epochs, variation = train_network(network, train, valid, plan, chosen, drawn, watch)
            validated = valid.x, variation
        else:
            network = _fit_at_once(card, network, train, valid, chosen, drawn)
    learnt = (train,) if card.is_network else (train, valid)
    known = sum(map(len, learnt)), _last_label(*learnt)
    return Fitted(name, network.eval(), chosen, drawn, history, epochs, *known, validated)


def refit(
    fitted: Fitted, train: WindowSet, valid: WindowSet, experiment: Experiment, *, window: WindowSpec = FORECAST_V2
) -> Fitted:
    """Fit a network from scratch on training and validation windows, for as many epochs as were best without those.

    Early stopping needs windows that the weights have not seen, and takes the newest. Once it has said how long to
    train, there is no reason to leave out the newest year. The scaler is learnt anew from all windows as well. A model
    that is fitted in one call has learnt from them already, and is returned as it is. So is a network whose forecasts
    do not vary over the validation windows, which is refused whatever its weights, and one whose forecasts no longer
    vary when it is fitted anew: what it had learnt is not thrown away for what learnt nothing.

    Raises
    ------
    ModelError
        If the weights are no numbers afterwards.
    """
    card = card_of(fitted.name)
    if not card.is_network or fitted.variation(valid.x).is_constant:
        return fitted
    every, plan = train.joined(valid), experiment.optimisation
    inputs, outputs = _inputs(window, every), card.outputs_over(every.horizons, experiment.calendar)
    with threads(plan.threads):
        network = build_network(
            fitted.name, inputs, outputs, every.scaler, seed=fitted.seed, **card.sizes(fitted.parameters)
        )
        train_for(network, every, plan, fitted.parameters, fitted.seed, fitted.epochs)
    again = replace(
        fitted, network=network.eval(), learnt_from=len(every), learnt_until=_last_label(every), validated=None
    )
    return fitted if again.variation(valid.x).is_constant else again


def fit_each_seed(
    model: str,
    train: WindowSet,
    valid: WindowSet,
    experiment: Experiment,
    parameters: Mapping[str, Any] | None = None,
) -> Iterator[Fitted]:
    """Fit and refit a network once per seed; other models are fitted once."""
    for fitted in fits_of_seeds(model, train, valid, experiment, parameters):
        yield refit(fitted, train, valid, experiment)


def fits_of_seeds(
    model: str, train: WindowSet, valid: WindowSet, experiment: Experiment, parameters: Mapping[str, Any] | None
) -> Iterator[Fitted]:
    """Fit a network once per seed, and any other model once; none of them is refitted."""
    chosen = None if parameters is None else dict(parameters)
    for seed in experiment.seeds if card_of(model).is_network else experiment.seeds[:1]:
        yield fit_model(model, train, valid, experiment, chosen, seed)


def _inputs(window: WindowSpec, windows: WindowSet) -> InputSpec:
    """Return what a model of these windows is given: a scale for each horizon that it answers."""
    return InputSpec(window.features, window.sessions, window.scaled_for(windows.horizons).scales)


def _last_label(*learnt: WindowSet) -> datetime:
    last: datetime = pl.concat([windows.keys["label_end"] for windows in learnt]).max()  # type: ignore[assignment]  # instants
    return last


def _fit_at_once(
    card: ModelCard,
    network: "base.ReturnForecaster",
    train: WindowSet,
    valid: WindowSet,
    parameters: dict[str, Any],
    seed: int,
) -> "base.ReturnForecaster":
    """Return the network fitted in one call; that needs no validation, so it learns from those windows as well."""
    every = train.joined(valid)
    return card.fitted_at_once(network, every.x, every.y, parameters, seed)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute on that many threads, and give the caller's number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
