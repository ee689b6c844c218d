"""Loads inference engines: one protocol, ONNX Runtime and TensorRT."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.engines.base import Engine
    from serving.engines.bundles import Bundle


def load_engine(bundle: "Bundle", configured: "Settings") -> "Engine":
    """Load a verified bundle into the engine the settings name.

    Raises
    ------
    EngineError
        If that engine cannot run here; there is no silent fallback to another.
    """
    if configured.engine == "tensorrt":
        from serving.engines.tensorrt import TensorRTEngine

        return TensorRTEngine.load(bundle, configured)
    from serving.engines.onnx import OnnxEngine

    return OnnxEngine.load(bundle, configured)
