"""Five forecasters of one shape: naive, ridge, lightgbm, lstm, tft. Nothing heavy is imported before one is built."""

from typing import TYPE_CHECKING, Any

from lake.errors import UnknownNameError
from training.models.spec import InputSpec, OutputSpec

if TYPE_CHECKING:
    from training.models.base import ReturnForecaster
    from training.scaling import Scaler

MODELS = ("naive", "ridge", "lightgbm", "lstm", "tft")
"""Names of the models, the simplest first."""

NEURAL_MODELS = ("lstm", "tft")
"""Those that are trained by gradient descent; the others are fitted in one call."""

__all__ = ["MODELS", "NEURAL_MODELS", "InputSpec", "OutputSpec", "build_network"]


def build_network(
    name: str,
    inputs: InputSpec,
    outputs: OutputSpec,
    scaler: "Scaler | None" = None,
    *,
    seed: int = 0,
    **architecture: Any,
) -> "ReturnForecaster":
    """Return a new module of that name, its first weights drawn from the seed.

    The random state of the caller is left as it was. A fitted model is built again by passing its `architecture()`
    here and loading its state.

    Parameters
    ----------
    name
        One of `MODELS`.
    inputs, outputs, scaler
        As `ReturnForecaster` takes them.
    seed
        The same seed gives the same weights, bit for bit.
    architecture
        Sizes of that model, e.g. ``hidden=16``; the defaults are small.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    """
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    import torch

    from training.models.baselines import NaiveForecaster, RidgeForecaster
    from training.models.lstm import LstmForecaster
    from training.models.tft import TemporalFusionTransformer
    from training.models.trees import TreeEnsemble

    classes: dict[str, type[ReturnForecaster]] = {
        "naive": NaiveForecaster,
        "ridge": RidgeForecaster,
        "lightgbm": TreeEnsemble,
        "lstm": LstmForecaster,
        "tft": TemporalFusionTransformer,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return classes[name](inputs, outputs, scaler, **architecture)
