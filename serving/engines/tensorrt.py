"""TensorRT engine, through ONNX Runtime's provider: built on the serving machine from the verified ONNX file.

Why the provider and not the native API is in ``docs/adr/0003-tensorrt.md``.
"""

import shutil
import subprocess
from typing import TYPE_CHECKING

import numpy as np

from lake.errors import EngineError
from serving.engines.base import CHUNK_WINDOWS
from serving.engines.batch_granularity import probe_windows
from serving.engines.onnx import OnnxEngine

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Precision, Settings
    from serving.engines.bundles import Export

PROVIDER = "TensorrtExecutionProvider"
TOLERANCE: "dict[Precision, float]" = {"fp32": 1e-4, "fp16": 2e-3}
"""Largest difference from the processor's answer that a built engine may show, as a fraction of price."""
PROBE_WINDOWS = 64


class TensorRTEngine(OnnxEngine):
    """One exported model as a TensorRT engine.

    The engine is built on first load (seconds to minutes) and cached by GPU, TensorRT version, precision and digest
    of the ONNX file, so a cache is never read on another machine or for another model. It is never accepted as input.
    """

    @classmethod
    def load(cls, export: "Export", configured: "Settings") -> "TensorRTEngine":
        """Build or fetch the engine, and compare it with the processor before it may answer.

        Raises
        ------
        EngineError
            If there is no NVIDIA GPU, no TensorRT, an operation has no kernel, or the answers differ by more than
            the precision explains.
        """
        gpu, release = gpu_name(), tensorrt_version()
        cache = engine_folder(configured.models, gpu, release, configured.precision, export.digest)
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = cls(
            export,
            provider=PROVIDER,
            options=provider_options(export, configured.precision, cache),
            device=f"tensorrt {configured.precision} on {gpu}",
        )
        compare_engines(engine, OnnxEngine(export), TOLERANCE[configured.precision])
        return engine


def provider_options(export: "Export", precision: "Precision", cache: "Path") -> dict[str, str]:
    """Options of the TensorRT provider: one optimisation profile for every batch up to a chunk, and the cache."""
    signature = export.signature

    def shape(batch: int) -> str:
        return f"{signature.input_name}:{batch}x{signature.sessions}x{signature.channels}"

    return {
        "trt_fp16_enable": str(precision == "fp16"),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": str(cache),
        "trt_engine_cache_prefix": signature.name,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": str(cache),
        "trt_profile_min_shapes": shape(1),
        "trt_profile_opt_shapes": shape(1),
        "trt_profile_max_shapes": shape(CHUNK_WINDOWS),
    }


def engine_folder(models: "Path", gpu: str, release: str, precision: "Precision", digest: str) -> "Path":
    """Folder of one cached engine."""
    machine = "".join(letter if letter.isalnum() else "-" for letter in f"{gpu} tensorrt {release} {precision}")
    return models / "engines" / machine.lower() / digest


def compare_engines(built: OnnxEngine, reference: OnnxEngine, tolerance: float) -> float:
    """Compare both engines on the same probe windows; returns the largest difference.

    Raises
    ------
    EngineError
        If the difference is above the tolerance.
    """
    signature = reference.signature
    x = probe_windows(signature, PROBE_WINDOWS)
    difference = float(np.abs(built.predict(x) - reference.predict(x)).max())
    if difference > tolerance:
        raise EngineError(
            f"The engine of model '{signature.name}' ({built.device}) differs from the processor by up to "
            f"{difference:.2e} of the price, {tolerance:.0e} is allowed. Set QUANTLAKE_PRECISION=fp32 or "
            "QUANTLAKE_ENGINE=onnx."
        )
    return difference


def gpu_name() -> str:
    """Name and driver of the first NVIDIA GPU.

    Raises
    ------
    EngineError
        If there is none.
    """
    tool = shutil.which("nvidia-smi")
    if tool is not None:
        asked = subprocess.run(
            [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        if asked.returncode == 0 and asked.stdout.strip():
            return asked.stdout.strip().splitlines()[0].replace(",", "")
    raise EngineError(
        "TensorRT needs an NVIDIA GPU and its driver, and nvidia-smi shows none here. Set QUANTLAKE_ENGINE=onnx to "
        "compute on the processor."
    )


def tensorrt_version() -> str:
    """Release of the installed TensorRT; importing it also loads the libraries that the provider links to.

    Raises
    ------
    EngineError
        If it is not installed, or installed without its libraries.
    """
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise EngineError(
            f"TensorRT cannot be loaded: {error}. Install the extra 'gpu' with NVIDIA's package index, or set "
            "QUANTLAKE_ENGINE=onnx."
        ) from error
    return str(tensorrt.__version__)
