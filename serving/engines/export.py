"""Exports a trained network to one ONNX file with its signature and a parity proof."""

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.targets import HORIZONS, QUANTILES
from lake.disk import write_durably
from lake.errors import ParityError
from serving.engines.attention_export import prove_attention, write_attention
from serving.engines.bundles import (
    BACKGROUND_FILE,
    MODEL_FILE,
    PARITY_FILE,
    PARITY_TOLERANCE,
    PARITY_WINDOWS,
    SIGNATURE_FILE,
    Bundle,
    Export,
    Parity,
    refuse_external_data,
)
from serving.engines.graphs import to_onnx
from serving.engines.onnx import OnnxEngine
from serving.engines.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from numpy.typing import NDArray
    from torch import nn

    from feature_repo.targets import WindowSpec
    from serving.engines.background import Background

BATCH_SIZES = {1: 128, 7: 448, 128: 1 << 30}
"""Batch sizes to try, and how many windows in each: all of them in full chunks, a sample in small ones."""
EXAMPLE_WINDOWS = 7
SCALER = "standard scores from training rows only, computed inside the graph"


def export_model(
    network: "nn.Module",
    name: str,
    window_spec: "WindowSpec",
    versions: "Mapping[str, int]",
    windows: "NDArray[np.float32]",
    folder: Path,
    *,
    train_until: "datetime",
    horizons: tuple[int, ...] = HORIZONS,
    background: "Background | None" = None,
) -> Bundle:
    """Export a network, prove the export, and return it as a bundle.

    Parameters
    ----------
    network
        Maps ``[batch, session, 2 * feature]`` to ``[batch, horizon, quantile]``; left in evaluation mode.
    name
        Model name, e.g. ``lstm``.
    window_spec
        How its windows are cut.
    versions
        Delta versions of the tables it was fitted on.
    windows
        At least 1,000 real model inputs, float32 ``[n, session, 2 * feature]``, as `to_model_input` gives them.
    folder
        Where the files go; replaced if it exists.
    train_until
        Instant at which the last label it was fitted on was known.
    horizons
        What it forecasts, in bars.
    background
        Typical windows of its training; without one its forecasts cannot be explained.

    Returns
    -------
    Bundle
        Loaded back from the folder through every check.

    Raises
    ------
    ParityError
        If there are too few windows, or ONNX Runtime and torch differ by more than 1e-5 in any batch size.
    """
    if len(windows) < PARITY_WINDOWS:
        raise ParityError(
            f"Model '{name}' was to be proved on {len(windows)} windows; {PARITY_WINDOWS} real ones are required. "
            "Pass more of the training frame's windows."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    network.eval()
    content = to_onnx(network, windows[:EXAMPLE_WINDOWS], folder / MODEL_FILE)
    graph = write_attention(network, windows[:EXAMPLE_WINDOWS], folder)
    refuse_external_data(content, name)
    signature = Signature(
        name=name,
        window_spec=window_spec.name,
        features=tuple(window_spec.features),
        sessions=window_spec.sessions,
        horizons=horizons,
        quantiles=QUANTILES,
        scaler=SCALER,
        table_versions=dict(versions),
        train_until=train_until,
        code_version=code_version(),
        digest=hashlib.sha256(content).hexdigest(),
        background=None if background is None else background.digest,
        explain=None if graph is None else hashlib.sha256(graph).hexdigest(),
    )
    parity = prove_parity(network, signature, content, windows)
    if graph is not None:
        proof = prove_attention(network, Export(signature=signature, content=content), graph, windows)
        parity = parity.model_copy(update={"attention": proof})
    write_durably(folder / SIGNATURE_FILE, signature.to_json())
    write_durably(folder / PARITY_FILE, parity.model_dump_json(indent=2) + "\n")
    if background is not None:
        write_durably(folder / BACKGROUND_FILE, background.to_bytes().decode())
    return Bundle.load(folder)


def prove_parity(network: "nn.Module", signature: Signature, content: bytes, windows: "NDArray[np.float32]") -> Parity:
    """Compare torch with ONNX Runtime on real windows, in several batch sizes.

    Raises
    ------
    ParityError
        If the largest difference is above 1e-5, or a median changes its sign beyond it.
    """
    import onnxruntime
    import torch

    engine = OnnxEngine(Export(signature=signature, content=content))
    expected = _torch_answers(network, windows)
    differences = []
    for batch, limit in BATCH_SIZES.items():
        starts = range(0, min(limit, len(windows)), batch)
        found = np.concatenate([engine.predict(windows[start : start + batch]) for start in starts])
        differences.append(np.abs(found - expected[: len(found)]).max())
    difference = float(np.max(differences))  # NaN if any is NaN, which no tolerance passes
    middle = len(signature.quantiles) // 2
    agreement = float((np.sign(found[..., middle]) == np.sign(expected[..., middle])).mean())
    if not difference <= PARITY_TOLERANCE:
        raise ParityError(
            f"Model '{signature.name}' answers differently after export: up to {difference:.2e} of the price on "
            f"{len(windows)} windows, {PARITY_TOLERANCE:.0e} is allowed. It was not exported; look for an operation "
            "that ONNX rounds or orders differently."
        )
    return Parity(
        windows=len(windows),
        batch_sizes=tuple(BATCH_SIZES),
        max_absolute_difference=difference,
        sign_agreement=agreement,
        digest=signature.digest,
        engine=f"onnxruntime {onnxruntime.__version__}",
        torch=str(torch.__version__),
    )


def code_version() -> str:
    """Version of this project, with the commit when it runs from a checkout."""
    from training.tracking import source_commit

    number, commit = version("quantlake"), source_commit()
    return number if commit is None else f"{number}+{commit[:12]}"


def _torch_answers(network: "nn.Module", windows: "NDArray[np.float32]") -> "NDArray[np.float32]":
    import torch

    with torch.inference_mode():
        parts = [network(torch.from_numpy(part)) for part in np.array_split(windows, max(1, len(windows) // 1_024))]
        answers: NDArray[np.float32] = torch.cat(parts).numpy()
    return answers
