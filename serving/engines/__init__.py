"""Trained models as files: exported with a proof, signed, checked before use."""

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
