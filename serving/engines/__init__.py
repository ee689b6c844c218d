"""Trained models as files and the engines that compute them.

- `bundles`, `signature`: an exported model with its proof, checked before use
- `background`, `typical_windows`: typical windows of a training, which explanations compare with
- `attention`: the graph of a model with attention, where the network looked
- `base`, `onnx`, `tensorrt`, `loading`: the engine protocol, its implementations, and the choice among them
- `warming`, `grain`: first forecasts of an engine, and batch sizes that compute the same bits
- `export`: from torch to a proved ONNX file (needs torch)
"""

from serving.engines.attention import AttentionEngine, AttentionRead, no_attention
from serving.engines.background import TYPICAL_WINDOWS, Background
from serving.engines.base import Engine
from serving.engines.bundles import (
    BACKGROUND_FILE,
    EXPLAIN_FILE,
    MODEL_FILE,
    PARITY_FILE,
    PARITY_WINDOWS,
    SIGNATURE_FILE,
    Bundle,
    files_of,
)
from serving.engines.loading import load_engine
from serving.engines.onnx import PROVIDERS, OnnxEngine
from serving.engines.signature import Sha256, Signature
from serving.engines.typical_windows import choose_background
from serving.engines.warming import warm

__all__ = [
    "BACKGROUND_FILE",
    "EXPLAIN_FILE",
    "MODEL_FILE",
    "PARITY_FILE",
    "PARITY_WINDOWS",
    "PROVIDERS",
    "SIGNATURE_FILE",
    "TYPICAL_WINDOWS",
    "AttentionEngine",
    "AttentionRead",
    "Background",
    "Bundle",
    "Engine",
    "OnnxEngine",
    "Sha256",
    "Signature",
    "choose_background",
    "export",
    "files_of",
    "load_engine",
    "no_attention",
    "tensorrt",
    "warm",
]
