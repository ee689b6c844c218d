"""Exports the graph with attention of a network that has it, with a proof of its own (needs torch)."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lake.errors import ParityError
from serving.engines.attention import GRAPH_OUTPUTS, SUM_TOLERANCE, AttentionEngine, AttentionRead
from serving.engines.bundles import EXPLAIN_FILE, PARITY_TOLERANCE, AttentionParity, Export
from serving.engines.graphs import to_onnx
from serving.engines.onnx import OnnxEngine

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn


def write_attention(network: "nn.Module", example: "NDArray[np.float32]", folder: Path) -> bytes | None:
    """Write the graph of a network with attention into the folder of its bundle; None for a network without.

    Parameters
    ----------
    example
        A few windows to trace the network with.
    """
    from training.models.attention import AttentionGraph, AttentiveForecaster

    if not isinstance(network, AttentiveForecaster):
        return None
    return to_onnx(AttentionGraph(network), example, folder / EXPLAIN_FILE, GRAPH_OUTPUTS)


def prove_attention(network: Any, served: Export, graph: bytes, windows: "NDArray[np.float32]") -> AttentionParity:
    """Compare the graph with torch, and its quantiles with those that the served file gives.

    Parameters
    ----------
    network
        The `training.models.attention.AttentiveForecaster` that both files were exported from.
    served, graph
        The served file, and the bytes of the graph.

    Raises
    ------
    ParityError
        If quantiles or weights differ by more than 1e-5, or a row of weights misses a sum of 1 by more.
    """
    found = AttentionEngine(Export(signature=served.signature, content=graph)).look(windows)
    expected = _torch_answers(network, windows)
    from_torch = [float(np.abs(one - other).max()) for one, other in zip(found, expected, strict=True)]
    from_served = float(np.abs(found.quantiles - OnnxEngine(served).predict(windows)).max())
    quantiles, weights = float(np.max([from_torch[0], from_served])), float(np.max(from_torch[1:]))
    if not (quantiles <= PARITY_TOLERANCE and weights <= PARITY_TOLERANCE and found.sum_error <= SUM_TOLERANCE):
        raise ParityError(
            f"The graph with attention of model '{served.name}' differs from the model: quantiles by up to "
            f"{quantiles:.2e}, weights by up to {weights:.2e}; {PARITY_TOLERANCE:.0e} is allowed. It was not exported; "
            "look for an operation that ONNX rounds or orders differently."
        )
    return AttentionParity(
        digest=hashlib.sha256(graph).hexdigest(),
        windows=len(windows),
        max_absolute_difference=quantiles,
        max_weight_difference=weights,
        max_sum_error=found.sum_error,
    )


def _torch_answers(network: Any, windows: "NDArray[np.float32]") -> AttentionRead:
    import torch

    with torch.inference_mode():
        quantiles, weights = network.forward_with_weights(torch.from_numpy(windows))
    return AttentionRead(quantiles.numpy(), *(weight.numpy() for weight in weights))
