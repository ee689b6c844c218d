"""Fit one model, whichever it is, and keep it on disk as sizes in JSON and weights that hold no code."""

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from feature_repo.targets import FORECAST_V1, HORIZONS, WindowSpec
from lake.disk.durable import write_durably
from lake.errors import ModelError, NotReadyError
from training.config import Experiment, Optimisation
from training.dataset import WindowSet
from training.models import NEURAL_MODELS, InputSpec, OutputSpec, build_network
from training.models.base import ReturnForecaster
from training.scaling import fit_scaler

Say = Callable[[str], None]
"""What progress is told to, a sentence at a time."""

Watch = Callable[[int, float], None]
"""Told each epoch's number, from 0, and its validation loss; it may raise to stop the training."""

WEIGHTS, SIZES = "weights.pt", "fitted.json"
PREDICTION_WINDOWS = 256
"""Windows per forward pass; larger passes leave the processor's cache and are slower."""


@dataclass(frozen=True)
class Fitted:
    """A model after fitting.

    Parameters
    ----------
    name
        One of `training.models.MODELS`.
    network
        In evaluation mode, its scaler inside.
    parameters, seed
        What it was fitted with.
    history
        Validation loss (pinball, in units of sigma) after each epoch; empty for what is fitted in one call.
    """

    name: str
    network: ReturnForecaster
    parameters: dict[str, Any]
    seed: int
    history: list[float] = field(default_factory=list)

    def predict(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return quantiles ``[window, horizon, quantile]`` of the simple return, ascending along the last axis.

        Parameters
        ----------
        x
            float32 ``[window, session, 2 * feature]``.
        """
        with torch.inference_mode():
            parts = [self.network(torch.from_numpy(part)).numpy() for part in _chunks(x)]
        return np.concatenate(parts)


def silent(_: str) -> None:
    """Say nothing."""


def unwatched(_: int, __: float) -> None:
    """Let the training go on."""


def specs(window: WindowSpec = FORECAST_V1) -> tuple[InputSpec, OutputSpec]:
    """Return what the models of this platform are given and what they answer."""
    return InputSpec(window.features, window.sessions), OutputSpec(HORIZONS)


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
    window: WindowSpec = FORECAST_V1,
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
        If a network's validation loss is never a number.
    """
    chosen = experiment.parameters_of(name) if parameters is None else parameters
    drawn = experiment.seeds[0] if seed is None else seed
    plan = experiment.optimisation if optimisation is None else optimisation
    inputs, outputs = specs(window)
    scaler = fit_scaler(train.x)
    history: list[float] = []
    with threads(plan.threads):
        if name in NEURAL_MODELS:
            sizes = {key: value for key, value in chosen.items() if key not in {"learning_rate", "weight_decay"}}
            network = build_network(name, inputs, outputs, scaler, seed=drawn, **sizes)
            history = _train(network, train, valid, plan, chosen, drawn, watch)
        else:
            network = build_network(name, inputs, outputs, scaler, seed=drawn)
            _fit_at_once(network, train, valid, chosen, drawn)
    return Fitted(name, network.eval(), chosen, drawn, history)


def save_fitted(fitted: Fitted, folder: Path) -> Path:
    """Write a fitted model into a folder: sizes and history as JSON, weights as tensors. The JSON comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(fitted.network.state_dict(), folder / f"{WEIGHTS}.new")
    (folder / f"{WEIGHTS}.new").replace(folder / WEIGHTS)
    network = fitted.network
    content = {
        "name": fitted.name,
        "inputs": asdict(network.inputs),
        "outputs": asdict(network.outputs),
        "architecture": network.architecture(),
        "parameters": fitted.parameters,
        "seed": fitted.seed,
        "history": fitted.history,
    }
    write_durably(folder / SIZES, json.dumps(content, indent=1))
    return folder


def load_fitted(folder: Path) -> Fitted:
    """Read what `save_fitted` wrote. Only tensors are read from the weights; a file that holds code is refused.

    Raises
    ------
    NotReadyError
        If the folder holds no fitted model.
    ModelError
        If the weights are damaged, hold more than tensors, or do not fit the sizes.
    """
    if not (folder / SIZES).is_file() or not (folder / WEIGHTS).is_file():
        raise NotReadyError(
            f"There is no fitted model in {folder}: expected {SIZES} and {WEIGHTS}. Fit it with `make demo`."
        )
    content = json.loads((folder / SIZES).read_text(encoding="utf-8"))
    inputs = InputSpec(tuple(content["inputs"]["features"]), content["inputs"]["sessions"])
    low, middle, high = content["outputs"]["quantiles"]
    outputs = OutputSpec(tuple(content["outputs"]["horizons"]), (low, middle, high))
    network = build_network(content["name"], inputs, outputs, **content["architecture"])
    try:
        network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    except Exception as error:
        raise ModelError(
            f"The weights in {folder / WEIGHTS} cannot be used for '{content['name']}': {error}. Fit the model again."
        ) from error
    return Fitted(content["name"], network.eval(), content["parameters"], content["seed"], content["history"])


def _train(
    network: ReturnForecaster,
    train: WindowSet,
    valid: WindowSet,
    plan: Optimisation,
    parameters: dict[str, Any],
    seed: int,
    watch: Watch,
) -> list[float]:
    """Train a network in place, leave it with its best weights, and return the validation losses."""
    from pytorch_lightning import Trainer
    from pytorch_lightning.callbacks import EarlyStopping

    from training.datamodule import WindowData
    from training.module import ForecastModule, KeepBest

    module = ForecastModule(network, learning_rate=parameters["learning_rate"], weight_decay=parameters["weight_decay"])
    data = WindowData(train, valid, batch_windows=plan.batch_windows, seed=seed, epoch_windows=plan.epoch_windows)
    keeper = KeepBest(watch)
    with _quiet_lightning(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        Trainer(
            max_epochs=plan.epochs,
            gradient_clip_val=plan.gradient_clip_norm,
            callbacks=[keeper, EarlyStopping("valid_loss", patience=plan.patience_epochs, check_finite=False)],
            accelerator=plan.accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
        ).fit(module, datamodule=data)
    if not np.isfinite(keeper.losses).any():
        raise ModelError(
            f"The validation loss was never a number in {len(keeper.losses)} epochs, found {keeper.losses[:3]}. "
            "Lower learning_rate or gradient_clip_norm in the experiment."
        )
    network.cpu().load_state_dict(keeper.best)
    return keeper.losses


def _fit_at_once(
    network: ReturnForecaster, train: WindowSet, valid: WindowSet, parameters: dict[str, Any], seed: int
) -> None:
    """Fit in place what has no epochs; it needs no validation, so it learns from those windows as well."""
    from training.models.baselines import RidgeForecaster, fit_ridge
    from training.models.trees import TreeEnsemble, fit_trees

    x, y = np.concatenate([train.x, valid.x]), np.concatenate([train.y, valid.y])
    if isinstance(network, RidgeForecaster):
        fit_ridge(network, x, y, **parameters)
    elif isinstance(network, TreeEnsemble):
        fit_trees(network, x, y, seed=seed, **parameters)


def _chunks(x: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    return [x[start : start + PREDICTION_WINDOWS] for start in range(0, len(x), PREDICTION_WINDOWS)]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Compute on that many threads, and give the caller's number back."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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
