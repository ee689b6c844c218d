"""Train a network by gradient descent with Lightning, and leave it with the weights of its best epoch."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lake.errors import ModelError
from training.data import WindowSet
from training.experiments import Optimisation
from training.models import Variation

if TYPE_CHECKING:
    from pytorch_lightning import Callback

    from training.models import base

Watch = Callable[[int, float], None]
"""Told each epoch's number, from 0, and its validation loss; it may raise to stop the training."""


def unwatched(_: int, __: float) -> None:
    """Let the training go on."""


def train_network(
    network: "base.ReturnForecaster",
    train: WindowSet,
    valid: WindowSet,
    plan: Optimisation,
    parameters: dict[str, Any],
    seed: int,
    watch: Watch,
) -> tuple[list[float], int, Variation]:
    """Train a network in place, leave it with its best weights, and return what the validation said.

    These are the losses by epoch, the best epoch, numbers starting at 1, and how much forecasts for the validation
    windows varied after it; see `KeepBest` for what is best.
    """
    from pytorch_lightning.callbacks import EarlyStopping

    from training.fit.module import KeepBest

    keeper = KeepBest(watch)
    stopper = EarlyStopping("valid_loss", patience=plan.patience_epochs, check_finite=False)
    _descend(network, train, valid, plan, parameters, seed, epochs=plan.epochs, callbacks=[keeper, stopper])
    if not np.isfinite(keeper.losses).any():
        raise ModelError(
            f"The validation loss was never a number in {len(keeper.losses)} epochs, found {keeper.losses[:3]}. "
            "Lower learning_rate or gradient_clip_norm in the experiment."
        )
    network.cpu().load_state_dict(keeper.best)
    return keeper.losses, keeper.best_epoch + 1, keeper.variation


def train_for(
    network: "base.ReturnForecaster",
    train: WindowSet,
    plan: Optimisation,
    parameters: dict[str, Any],
    seed: int,
    epochs: int,
) -> None:
    """Train a network in place for a number of epochs: without validation, so that no window is left out for it."""
    _descend(network, train, None, plan, parameters, seed, epochs=epochs, callbacks=[])
    network.cpu()
    if not all(torch.isfinite(weights).all() for weights in network.parameters()):
        raise ModelError(
            f"Weights were no numbers after {epochs} epochs over {len(train):,} windows. "
            "Lower learning_rate or gradient_clip_norm in the experiment."
        )


def _descend(
    network: "base.ReturnForecaster",
    train: WindowSet,
    valid: WindowSet | None,
    plan: Optimisation,
    parameters: dict[str, Any],
    seed: int,
    *,
    epochs: int,
    callbacks: "list[Callback]",
) -> None:
    from pytorch_lightning import Trainer

    from training.fit.datamodule import WindowData
    from training.fit.module import ForecastModule

    module = ForecastModule(network, learning_rate=parameters["learning_rate"], weight_decay=parameters["weight_decay"])
    data = WindowData(train, valid, batch_windows=plan.batch_windows, seed=seed, epoch_windows=plan.epoch_windows)
    with _quiet_lightning(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Trainer(
            max_epochs=epochs,
            gradient_clip_val=plan.gradient_clip_norm,
            callbacks=callbacks,
            limit_val_batches=None if valid is not None else 0,
            accelerator=plan.accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        ).fit(module, datamodule=data)


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Keep off the screen what Lightning says of itself, and its advice on worker processes that arrays do not need."""
    logger = logging.getLogger("pytorch_lightning")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            # Lightning 2.6.6 names a class that torch 2.13 means to drop; both versions are pinned.
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        logger.setLevel(before)
