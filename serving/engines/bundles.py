"""Exported models on disk: a folder with the ONNX file, its signature and its proof, checked before use."""

import hashlib
import os
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lake.errors import ModelError, ParityError
from serving.engines.background import Background
from serving.engines.signature import Sha256, Signature

MODEL_FILE, SIGNATURE_FILE, PARITY_FILE = "model.onnx", "signature.json", "parity.json"
BACKGROUND_FILE, EXPLAIN_FILE = "background.json", "explain.onnx"
LARGEST_BYTES = {
    MODEL_FILE: 1 << 30,
    SIGNATURE_FILE: 1 << 20,
    PARITY_FILE: 1 << 20,
    BACKGROUND_FILE: 1 << 24,
    EXPLAIN_FILE: 1 << 30,
}
UNREGISTERED = "unregistered"
PARITY_TOLERANCE, PARITY_WINDOWS = 1e-5, 1_000


class AttentionParity(BaseModel):
    """Proof that the graph with attention forecasts and weighs as the trained model does.

    Parameters
    ----------
    digest
        SHA-256 of the file that was tried.
    windows
        Real windows that were tried.
    max_absolute_difference
        Largest difference between any two quantiles, as a fraction of price, from torch and from the served graph.
    max_weight_difference
        Largest difference between any two weights, from torch.
    max_sum_error
        Largest distance of a row of weights from a sum of 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    digest: Sha256
    windows: int = Field(ge=1)
    max_absolute_difference: float = Field(ge=0, le=PARITY_TOLERANCE, allow_inf_nan=False)
    max_weight_difference: float = Field(ge=0, le=PARITY_TOLERANCE, allow_inf_nan=False)
    max_sum_error: float = Field(ge=0, le=PARITY_TOLERANCE, allow_inf_nan=False)


class Parity(BaseModel):
    """Proof that the exported model computes what the trained one does.

    Parameters
    ----------
    windows
        Real windows that were forecast both ways.
    batch_sizes
        Batch sizes the engine was asked in.
    max_absolute_difference
        Largest difference between any two quantiles, as a fraction of price.
    sign_agreement
        Share of medians with the same sign both ways.
    digest
        SHA-256 of the ONNX file that was tried.
    engine, torch
        Versions of what was compared.
    attention
        Proof of the graph with attention; None, and not written, for a model without one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    windows: int = Field(ge=1)
    batch_sizes: tuple[int, ...] = Field(min_length=1)
    max_absolute_difference: float = Field(ge=0, allow_inf_nan=False)
    sign_agreement: float = Field(ge=0, le=1)
    digest: Sha256
    engine: str
    torch: str
    attention: AttentionParity | None = Field(default=None, exclude_if=lambda proof: proof is None)

    def require(self, signature: Signature) -> None:
        """Refuse a proof that proves too little, or something else.

        Raises
        ------
        ParityError
            Saying which condition is not met.
        """
        if self.digest != signature.digest:
            raise ParityError(
                f"The parity proof of model '{signature.name}' belongs to file {self.digest[:12]}, not to "
                f"{signature.digest[:12]}. Export the model again."
            )
        if self.windows < PARITY_WINDOWS:
            raise ParityError(
                f"The parity proof of model '{signature.name}' covers {self.windows} windows; {PARITY_WINDOWS} real "
                "ones are required. Export it with more windows."
            )
        if self.max_absolute_difference > PARITY_TOLERANCE:
            raise ParityError(
                f"The exported model '{signature.name}' differs from the trained one by up to "
                f"{self.max_absolute_difference:.2e} of the price; {PARITY_TOLERANCE:.0e} is allowed. "
                "Nothing was promoted."
            )
        if signature.explain != (None if self.attention is None else self.attention.digest):
            raise ParityError(
                f"The graph with attention of model '{signature.name}' has no parity proof of its own, or that of "
                "another file. Export the model again."
            )


@dataclass(frozen=True, kw_only=True)
class Export:
    """An ONNX file and what it claims to be, before it is proved.

    Parameters
    ----------
    signature
        What it takes and gives.
    content
        Bytes of the ONNX file: exactly those whose digest is in the signature, so that nothing can change in between.
    version
        Registered version, `UNREGISTERED` before promotion.
    """

    signature: Signature
    content: bytes
    version: str = UNREGISTERED

    @property
    def name(self) -> str:
        """Model name."""
        return self.signature.name

    @property
    def digest(self) -> str:
        """SHA-256 of the ONNX file."""
        return self.signature.digest


@dataclass(frozen=True, kw_only=True)
class Bundle(Export):
    """An exported model on disk whose files have been checked against each other.

    Parameters
    ----------
    folder
        Folder with ``model.onnx``, ``signature.json`` and ``parity.json``, and ``background.json`` and
        ``explain.onnx`` where the signature names them.
    parity
        Proof that it computes what was trained.
    background_content
        Bytes of ``background.json``, of the digest in the signature; None for an export without one.
    explain_content
        Bytes of ``explain.onnx``, of the digest in the signature; None for a model without attention.
    """

    folder: Path
    parity: Parity
    background_content: bytes | None = None
    explain_content: bytes | None = None

    @property
    def files(self) -> tuple[str, ...]:
        """Names of its files."""
        return files_of(self.signature)

    @cached_property
    def background(self) -> Background | None:
        """Typical windows of its training; None for an export without them."""
        content = self.background_content
        return None if content is None else Background.from_bytes(content, self.name)

    @classmethod
    def load(cls, folder: Path, *, version: str = UNREGISTERED) -> "Bundle":
        """Read and check one bundle.

        Raises
        ------
        ModelError
            If a file is missing, is a link, has another digest than its signature says, or refers to other files.
        ParityError
            If the proof is missing or does not cover this file.
        """
        content, signature_text = _read(folder, MODEL_FILE), _read(folder, SIGNATURE_FILE)
        signature = Signature.from_json(_text(signature_text, folder / SIGNATURE_FILE))
        found = hashlib.sha256(content).hexdigest()
        if found != signature.digest:
            raise ModelError(
                f"{folder / MODEL_FILE} has digest {found[:12]}, its signature says {signature.digest[:12]}: the file "
                "was altered after export. Export and promote the model again."
            )
        refuse_external_data(content, signature.name)
        parity = _read_parity(folder, signature.name)
        parity.require(signature)
        return cls(
            folder=folder,
            signature=signature,
            parity=parity,
            content=content,
            version=version,
            background_content=_read_pinned(folder, BACKGROUND_FILE, signature.background, signature.name),
            explain_content=_read_graph(folder, signature),
        )


def files_of(signature: Signature) -> tuple[str, ...]:
    """Return the names of the files of a bundle: background and graph with attention where its signature names them."""
    named = ((BACKGROUND_FILE, signature.background), (EXPLAIN_FILE, signature.explain))
    return (MODEL_FILE, SIGNATURE_FILE, PARITY_FILE, *(file for file, digest in named if digest is not None))


def refuse_external_data(content: bytes, name: str) -> None:
    """Refuse an ONNX file whose weights, at any depth of its graph, lie in other files.

    Raises
    ------
    ModelError
        Naming the first such tensor.
    """
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    for tensor in _get_all_tensors(_parse(content, name)):
        if uses_external_data(tensor):
            raise ModelError(
                f"Model '{name}' keeps tensor '{tensor.name}' outside its file, where no digest covers it. Export it "
                "as one file."
            )


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if folder.is_symlink() or path.is_symlink():
        raise ModelError(f"{path} is reached through a link. A served model is a plain file in a plain folder.")
    try:
        # A link put there since is not followed, and a pipe is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError as error:
        kind = ParityError if name == PARITY_FILE else ModelError
        raise kind(f"{path} is missing, so the model cannot be used. Export and promote it again.") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST_BYTES[name]:
        os.close(descriptor)
        raise ModelError(
            f"{path} is no plain file of at most {LARGEST_BYTES[name]:,} bytes, so it is no exported model's. Export "
            "and promote it again."
        )
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ModelError(f"{path} is no text. Export and promote the model again.") from error


def _read_parity(folder: Path, name: str) -> Parity:
    try:
        return Parity.model_validate_json(_read(folder, PARITY_FILE))
    except ValidationError as error:
        raise ParityError(f"The parity proof of model '{name}' cannot be read: {error.errors()[0]['msg']}.") from error


def _read_pinned(folder: Path, file: str, digest: str | None, name: str) -> bytes | None:
    """Return the bytes of a file that the signature of a model names by its digest; None where it names none."""
    if digest is None:
        return None
    content = _read(folder, file)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise ModelError(
            f"{folder / file} has digest {found[:12]}, the signature of model '{name}' says {digest[:12]}: the file "
            "was altered after export. Export and promote the model again."
        )
    return content


def _read_graph(folder: Path, signature: Signature) -> bytes | None:
    """Return the bytes of the graph with attention; None where the signature names none."""
    content = _read_pinned(folder, EXPLAIN_FILE, signature.explain, signature.name)
    if content is not None:
        refuse_external_data(content, signature.name)
    return content


def _parse(content: bytes, name: str) -> Any:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        return onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelError(f"The file of model '{name}' is no ONNX model. Export it again.") from error
