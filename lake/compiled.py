"""Functions as compiled loops: compiled once, by one process at a time, and kept on disk for all later ones.

numba has one cache folder for the whole process, so whatever compiles in it takes its turn here. The first call
imports numba, so that importing this module stays cheap.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

from filelock import FileLock

from lake.settings import settings

SOURCE = Path(__file__)
"""Decides how functions are compiled; it belongs to the digest of whatever is."""
_ONE_THREAD = threading.RLock()


def kernel_folder(package: Path, digest: str) -> Path:
    """Folder of what a package compiles to: beside its sources, or in the home where these are read-only.

    numba notices a change in a function's own file only; a folder per state of all sources notices every one.

    Parameters
    ----------
    package
        Folder of the sources.
    digest
        Of the sources as they are now.
    """
    beside, name = package / "__pycache__", f"kernels-{digest}"
    try:
        beside.mkdir(exist_ok=True)
        is_writable = os.access(beside, os.W_OK)
    except OSError:
        is_writable = False
    return (beside if is_writable else settings().home / "kernels") / name


def marker_of(python: Callable[..., Any], folder: Path) -> Path:
    """File that exists once a function is compiled."""
    name = f"{python.__module__}.{python.__qualname__}"
    short = hashlib.sha256(name.encode()).hexdigest()[:8]
    return folder / f"{python.__name__}-{short}.{sys.implementation.cache_tag}.compiled"


def compile_copy(
    python: Callable[..., Any], arguments: Sequence[Any], called: Callable[[], Mapping[str, Any]], folder: Path
) -> Any:
    """Compile a copy of a function for arguments of the numba types given.

    One thread and one process at a time: numba's index of compiled functions may lose an entry or confuse two where
    processes write to it together, and who waits finds the work done.

    Parameters
    ----------
    called
        Gives what stands in the copy for the functions that it names; asked when it is this function's turn.
    folder
        As `kernel_folder` returns it.
    """
    import numba

    with _ONE_THREAD:
        copy = copy_calling(python, called())
        numba.config.CACHE_DIR = str(folder)
        marker = marker_of(python, folder)
        marker.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(marker.with_suffix(".lock")):
            compiled = numba.njit(tuple(arguments), cache=True, nogil=True, error_model="numpy")(copy)
            marker.touch()
        return compiled


def copy_calling(python: Callable[..., Any], called: Mapping[str, Any]) -> FunctionType:
    """Return a copy of a function in which some names that it reads are others."""
    assert isinstance(python, FunctionType)
    copy = FunctionType(python.__code__, {**python.__globals__, **called}, python.__name__, python.__defaults__)
    copy.__module__, copy.__qualname__ = python.__module__, python.__qualname__
    return copy
