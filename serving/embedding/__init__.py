"""Sentence vectors: all-MiniLM-L6-v2, or a model of one's own, computed by ONNX Runtime in this process.

- `find_files`, `read_files`: the files of an embedder, outside the import path, and the check of their digests
- `Embedder`, `open_embedder`: from a text to its vector
"""

from serving.embedding.embedder import Embedder, open_embedder
from serving.embedding.files import EmbedderFiles, find_files, read_files

__all__ = ["Embedder", "EmbedderFiles", "find_files", "open_embedder", "read_files"]
