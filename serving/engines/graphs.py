"""A network as the bytes of one ONNX file (needs torch)."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lake.errors import ParityError
from serving.engines.batch_bits import with_steady_bits
from serving.engines.debug_info import without_debug_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import nn


def to_onnx(
    network: "nn.Module", example: "NDArray[np.float32]", path: Path, outputs: "Sequence[str]" = ("quantiles",)
) -> bytes:
    """Trace a network, write it to a file of its own, and return the bytes.

    Parameters
    ----------
    example
        A few windows; the graph takes any number.
    outputs
        Names of what the network answers.

    Raises
    ------
    ParityError
        If the network has no graph.
    """
    import torch

    # The exporter warns about its own internals and about packages it could use; none of it concerns the network.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network,
            (torch.from_numpy(np.ascontiguousarray(example)),),
            dynamo=True,
            input_names=["window"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=1 << 20)},),
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ParityError("torch exported nothing: the network has no graph.")
    program.save(str(path), external_data=False)
    content = without_debug_info(with_steady_bits(path.read_bytes()))
    path.write_bytes(content)
    return content
