"""A model after fitting, kept on disk as sizes in JSON and weights that hold no code."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from lake.disk import write_durably
from lake.errors import ModelError, NotReadyError
from training.models import InputSpec, OutputSpec, Variation, build_network, variation_of

if TYPE_CHECKING:
    from training.models import base

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
        Validation loss (pinball, in units of sigma) after each epoch; empty for what is fitted in one call. Of a
        network that was refitted, that of the fit before, whose best epoch said how long to refit.
    epochs
        Passes over the training windows that the weights are the result of; 0 where there were none. They were chosen
        by the lowest validation loss among epochs after which forecasts vary.
    learnt_from, learnt_until
        How many windows the weights learnt from, and when the last of their labels ended; None for neither.
    validated
        Windows that an epoch was chosen by, and how much the forecasts of these weights for them vary, as the
        validation found it; None where there was none.
    """

    name: str
    network: "base.ReturnForecaster"
    parameters: dict[str, Any]
    seed: int
    history: list[float] = field(default_factory=list)
    epochs: int = 0
    learnt_from: int = 0
    learnt_until: datetime | None = None
    validated: tuple[npt.NDArray[np.float32], Variation] | None = field(default=None, repr=False, compare=False)

    @property
    def loss(self) -> float:
        """Validation loss after so many epochs; 0 for what is fitted in one call."""
        return self.history[self.epochs - 1] if self.history else 0.0

    def variation(self, x: npt.NDArray[np.float32]) -> Variation:
        """Return how much its forecasts vary over some windows; those it was validated by are not forecast again."""
        if self.validated is not None and x is self.validated[0]:
            return self.validated[1]
        return variation_of(self.predict(x), x, self.network.inputs, self.network.outputs.horizons)

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
        "epochs": fitted.epochs,
        "learnt_from": fitted.learnt_from,
        "learnt_until": None if fitted.learnt_until is None else fitted.learnt_until.isoformat(),
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
            f"There is no fitted model in {folder}: expected {SIZES} and {WEIGHTS}. Materialise the asset 'champions', "
            "which fits it."
        )
    content = json.loads((folder / SIZES).read_text(encoding="utf-8"))
    inputs = InputSpec(
        tuple(content["inputs"]["features"]), content["inputs"]["sessions"], tuple(content["inputs"]["scales"])
    )
    low, middle, high = content["outputs"]["quantiles"]
    lengths = tuple(content["outputs"].get("lengths", ()))  # earlier versions had none
    outputs = OutputSpec(tuple(content["outputs"]["horizons"]), (low, middle, high), lengths)
    network = build_network(content["name"], inputs, outputs, **content["architecture"])
    try:
        network.load_state_dict(torch.load(folder / WEIGHTS, weights_only=True))
    except Exception as error:
        raise ModelError(
            f"The weights in {folder / WEIGHTS} cannot be used for '{content['name']}': {error}. Fit the model again."
        ) from error
    until = content.get("learnt_until")  # earlier versions did not say
    return Fitted(
        content["name"],
        network.eval(),
        content["parameters"],
        content["seed"],
        content["history"],
        content.get("epochs", 0),
        content.get("learnt_from", 0),
        None if until is None else datetime.fromisoformat(until),
    )


def _chunks(x: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    return [x[start : start + PREDICTION_WINDOWS] for start in range(0, len(x), PREDICTION_WINDOWS)]
