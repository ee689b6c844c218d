"""The graph of a model with attention: the served forecast, and where the network looked for it."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lake.errors import EngineError, NoAttentionError
from serving.engines.base import CHUNK_WINDOWS, require_input, require_output
from serving.engines.bundles import Export
from serving.engines.onnx import PROVIDERS, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.engines.bundles import Bundle
    from serving.engines.signature import Signature

SUM_TOLERANCE = 1e-5
"""Largest distance of a row of weights from a sum of 1."""


class AttentionRead(NamedTuple):
    """Forecasts of some windows, and the weights behind them; each row of weights adds up to 1.

    Parameters
    ----------
    quantiles
        ``[window, horizon, quantile]``, returns as fractions: the served ones to 1e-5.
    attention
        ``[window, horizon, position]``: the sessions of the window, oldest first, then the steps ahead.
    feature_weights
        ``[window, session, feature]``.
    availability_weights
        ``[window, feature]``: how much it counted which features are known.
    """

    quantiles: "NDArray[np.float32]"
    attention: "NDArray[np.float32]"
    feature_weights: "NDArray[np.float32]"
    availability_weights: "NDArray[np.float32]"

    @property
    def sum_error(self) -> float:
        """Largest distance of a row of weights from a sum of 1; NaN where a weight is."""
        return float(np.max([np.abs(weights.sum(axis=-1) - 1).max() for weights in self[1:]]))


def no_attention(models: "Sequence[str]") -> NoAttentionError:
    """Return the error of models of which none has a graph with attention."""
    return NoAttentionError(
        f"No graph with attention among the models asked for: {', '.join(models)}. Their networks do not weigh what "
        "they look at, or were exported before such graphs were: materialise the asset `served_models` for the latter. "
        "The method shapley explains every model."
    )


class AttentionEngine:
    """The graph with attention of one model, on the processor.

    Parameters
    ----------
    export
        Its signature and the bytes of the graph, whose digest was checked.
    """

    def __init__(self, export: Export) -> None:
        self.signature: Signature = export.signature
        self._session = open_session(export, PROVIDERS["cpu"], {}, threads=1)

    @classmethod
    def load(cls, bundle: "Bundle") -> "AttentionEngine":
        """Load the graph of a bundle.

        Raises
        ------
        NoAttentionError
            If the bundle has none.
        """
        if bundle.explain_content is None:
            raise no_attention([bundle.name])
        return cls(Export(signature=bundle.signature, content=bundle.explain_content, version=bundle.version))

    def look(self, x: "NDArray[np.float32]") -> AttentionRead:
        """Forecast windows ``[window, session, 2 * feature]``, and return the weights behind the forecasts.

        Raises
        ------
        EngineError
            If the input does not fit the signature, or forecasts or weights are none.
        """
        require_input(x, self.signature)
        starts = range(0, max(len(x), 1), CHUNK_WINDOWS)
        parts = [self._session.run(list(GRAPH_OUTPUTS), {"window": x[at : at + CHUNK_WINDOWS]}) for at in starts]
        found = AttentionRead(*(np.concatenate(part) for part in zip(*parts, strict=True)))
        require_output(found.quantiles, self.signature, len(x))
        if not found.sum_error <= SUM_TOLERANCE:
            raise EngineError(
                f"The weights of model '{self.signature.name}' miss a sum of 1 by up to {found.sum_error:.1e}, "
                f"{SUM_TOLERANCE:.0e} is allowed. Export and promote the model again."
            )
        return found


GRAPH_OUTPUTS = AttentionRead._fields
"""Names of the graph's outputs, in order."""
