"""Trained networks behind exported files: found by the digest of the file, and compared with its engine."""

from typing import TYPE_CHECKING

import numpy as np

from lake.errors import NotReadyError, ParityError
from serving.engines import SIGNATURE_FILE, Signature
from training.models import MODELS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from lake.settings import Settings
    from serving.explain.models import ExplainedModel
    from training.models.base import ReturnForecaster

TOLERANCE = 1e-5
"""Largest difference between a network and its engine, as a fraction of price."""


def is_network(name: str) -> bool:
    """Whether a model is trained by gradient descent, so that its forecasts have gradients."""
    return name in MODELS and MODELS[name].is_network


class TrainedNetworks:
    """Networks of the trainings that a home holds, each loaded once.

    An export lies in ``models/exports/<training>/<model>``, and the weights that it was made from in
    ``training/<training>/models/<model>``.

    Parameters
    ----------
    configured
        Say where the home is.
    """

    def __init__(self, configured: "Settings") -> None:
        self._configured = configured
        self._loaded: dict[str, ReturnForecaster] = {}

    def of(self, model: "ExplainedModel", x: "NDArray[np.float32]") -> "ReturnForecaster":
        """Return the network that the file of a model was exported from.

        Parameters
        ----------
        x
            Model inputs ``[window, session, 2 * feature]`` that network and engine have to forecast alike.

        Raises
        ------
        NotReadyError
            If the home does not hold its weights.
        ParityError
            If it computes something else than the engine.
        """
        from training.fit import load_fitted

        if model.use.digest not in self._loaded:
            self._loaded[model.use.digest] = load_fitted(self._weights_of(model)).network
        network = self._loaded[model.use.digest]
        _require_parity(network, model, x)
        return network

    def _weights_of(self, model: "ExplainedModel") -> "Path":
        """Folder of the fitted model whose export has the digest of the model's file."""
        home, name = self._configured.home, model.use.name
        for signature in sorted((self._configured.models / "exports").glob(f"*/{name}/{SIGNATURE_FILE}")):
            weights = home / "training" / signature.parent.parent.name / "models" / name
            exported = Signature.from_json(signature.read_text(encoding="utf-8"))
            if exported.digest == model.use.digest and weights.is_dir():
                return weights
        raise NotReadyError(
            f"The weights of version {model.use.version} of '{name}' (digest {model.use.digest[:12]}) are not in this "
            f"home: no training in {home / 'training'} has an export of that digest. Gradients need the weights; the "
            "method shapley explains the forecast from the exported file."
        )


def _require_parity(network: "ReturnForecaster", model: "ExplainedModel", x: "NDArray[np.float32]") -> None:
    import torch

    with torch.inference_mode():
        found = network(torch.from_numpy(x)).numpy()
    difference = float(np.abs(found - model.engine.predict(x)).max())
    if not difference <= TOLERANCE:  # NaN is no agreement either
        raise ParityError(
            f"The trained network of '{model.use.name}' differs from its engine by {difference:.1e} of the price, "
            f"{TOLERANCE:.0e} is allowed, so its gradients would explain another forecast. Train and export it again; "
            "the method shapley explains the forecast by its engine."
        )
