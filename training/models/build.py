"""Build a network by the name of its model."""

from typing import TYPE_CHECKING, Any

from training.models.registry import card_of
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec

if TYPE_CHECKING:
    from training.models.base import ReturnForecaster


def build_network(
    name: str,
    inputs: InputSpec,
    outputs: OutputSpec,
    scaler: FeatureScaler | None = None,
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

    Examples
    --------
    >>> import torch
    >>> inputs, outputs = InputSpec(("volatility_20d",), 20, ("volatility_20d",)), OutputSpec()
    >>> build_network("naive", inputs, outputs)(torch.from_numpy(inputs.example(3))).shape
    torch.Size([3, 2, 3])
    """
    card = card_of(name)
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return card.network(inputs, outputs, scaler, **architecture)
