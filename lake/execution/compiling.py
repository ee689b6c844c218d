"""Functions as compiled loops: compiled once, by one process at a time, and kept on disk for all later ones.

The first call imports numba, so that importing this package stays cheap.
"""

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from filelock import FileLock

from lake.disk import digest_of_sources
from lake.settings import settings

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / name for name in ("arithmetic.py", "compiling.py", "target_arrays.py", "target_loop.py"))
"""Files whose functions are compiled: numba notices a change in a function's own file only."""
PACKAGE = __package__
_ONE_THREAD = threading.RLock()


@cache
def compiled_to() -> Path:
    """Folder of what the sources as they are now compile to: beside them, or in the home where they are read-only."""
    beside, name = FOLDER / "__pycache__", f"kernels-{digest_of_sources(SOURCES)}"
    try:
        beside.mkdir(exist_ok=True)
        is_writable = os.access(beside, os.W_OK)
    except OSError:
        is_writable = False
    return (beside if is_writable else settings().home / "kernels") / name


def compile_function(python: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Compile a function for arguments of the numba types given, and what it calls of this package with it.

    One process at a time: who waits finds the work done on disk.
    """
    import numba

    with _ONE_THREAD:
        numba.config.CACHE_DIR = str(compiled_to())
        compiled_to().mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(f"{python.__qualname__}{sys.implementation.cache_tag}".encode()).hexdigest()[:8]
        with FileLock(compiled_to() / f"{python.__name__}-{name}.lock"):
            return numba.njit(tuple(arguments), cache=True, nogil=True, error_model="numpy")(_with_compiled(python))


def _with_compiled(python: Callable[..., Any]) -> FunctionType:
    """Return a copy of a function in which the functions of this package that it names are compiled ones."""
    import numba

    assert isinstance(python, FunctionType)
    known = python.__globals__
    called = {
        name: numba.njit(error_model="numpy")(_with_compiled(known[name]))
        for name in python.__code__.co_names
        if isinstance(known.get(name), FunctionType) and known[name].__module__.startswith(PACKAGE)
    }
    copy = FunctionType(python.__code__, {**known, **called}, python.__name__, python.__defaults__)
    copy.__module__, copy.__qualname__ = python.__module__, python.__qualname__
    return copy
