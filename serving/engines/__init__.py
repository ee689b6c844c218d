"""Trained models as files and the engines that compute them.

- `bundles`, `signature`: an exported model with its proof, checked before use
- `base`, `onnx`, `tensorrt`, `loading`: the engine protocol, its implementations, and the choice among them
- `warming`, `grain`: first forecasts of an engine, and batch sizes that compute the same bits
- `export`: from torch to a proved ONNX file (needs torch)
"""

from serving.engines.base import Engine
from serving.engines.bundles import MODEL_FILE, PARITY_FILE, PARITY_WINDOWS, SIGNATURE_FILE, Bundle
from serving.engines.loading import load_engine
from serving.engines.onnx import PROVIDERS, OnnxEngine
from serving.engines.signature import Sha256
from serving.engines.warming import warm

__all__ = [
    "MODEL_FILE",
    "PARITY_FILE",
    "PARITY_WINDOWS",
    "PROVIDERS",
    "SIGNATURE_FILE",
    "Bundle",
    "Engine",
    "OnnxEngine",
    "Sha256",
    "export",
    "load_engine",
    "tensorrt",
    "warm",
]
