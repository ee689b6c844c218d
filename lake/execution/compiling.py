"""The functions of this package as compiled loops, with the functions of it that they call."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from lake.compiled import SOURCE, compile_copy, copy_calling, kernel_folder
from lake.disk import digest_of_sources

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / name for name in ("arithmetic.py", "compiling.py", "target_arrays.py", "target_loop.py"))
"""Files whose functions are compiled: numba notices a change in a function's own file only."""
PACKAGE = __package__


@cache
def compiled_to() -> Path:
    """Folder of what the sources as they are now compile to."""
    return kernel_folder(FOLDER, digest_of_sources([*SOURCES, SOURCE]))


def compile_function(python: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Compile a function for arguments of the numba types given, and what it calls of this package with it."""
    return compile_copy(python, arguments, lambda: _compiled_calls(python), compiled_to())


def _compiled_calls(python: Callable[..., Any]) -> Mapping[str, Any]:
    """Functions of this package that a function names, as compiled ones."""
    import numba

    assert isinstance(python, FunctionType)
    known = python.__globals__
    return {
        name: numba.njit(error_model="numpy")(copy_calling(known[name], _compiled_calls(known[name])))
        for name in python.__code__.co_names
        if isinstance(known.get(name), FunctionType) and known[name].__module__.startswith(PACKAGE)
    }
