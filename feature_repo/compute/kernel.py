"""Feature functions as compiled loops: written in plain Python over one symbol, run over all of them.

`make setup` compiles every kernel once (`python -m feature_repo.compiling`); a run finds them on disk. numba itself is
imported by the first kernel that is called, so that declaring a feature stays cheap.
"""

import hashlib
import inspect
import math
from collections.abc import Callable, Sequence
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError

Bars = npt.NDArray[np.float64]
"""One value per bar of one symbol, in order of time; NaN is not known."""
Index = npt.NDArray[np.int64]
SOURCES = Path(__file__).parent


class Kernel:
    """A function of one symbol's bars that numba compiles when it is first called.

    Parameters
    ----------
    python
        Takes arrays annotated as `Bars` first, then numbers, and returns `Bars` of the same size. It may look back and
        never ahead, and may call other kernels by their global names.
    """

    def __init__(self, python: Callable[..., Bars]) -> None:
        parameters = inspect.signature(python).parameters.values()
        self.arrays = sum(parameter.annotation == Bars for parameter in parameters)
        self.numbers = len(parameters) - self.arrays
        if not 1 <= self.arrays <= len(_DRIVERS):
            raise ConfigError(
                f"Kernel '{python.__name__}' takes {self.arrays} arrays annotated as Bars; between 1 and "
                f"{len(_DRIVERS)} are possible."
            )
        self.python = python
        self.name: str = python.__name__
        update_wrapper(self, python)

    def __call__(self, *arguments: Any) -> Bars:
        """Run the compiled function over one symbol."""
        values: Bars = self.compiled(*arguments)
        return values

    def over(self, starts: Index, inputs: Sequence[Bars], parameters: Sequence[float], out: Bars) -> None:
        """Fill `out` symbol by symbol, other threads running meanwhile; an infinite value becomes NaN.

        Parameters
        ----------
        starts
            First row of each symbol, and at the end the number of rows.
        inputs
            One array of all rows per array the function takes.
        parameters
            Its numbers.
        """
        self._driver(starts, *inputs, tuple(parameters), out)

    @cached_property
    def compiled(self) -> Any:
        """The function of one symbol, compiled."""
        return _compile(self.python)

    @cached_property
    def _driver(self) -> Any:
        template = _DRIVERS[self.arrays - 1]
        return _compile(template, f"{self.python.__module__}.{self.python.__qualname__}", function=self.compiled)


def kernel(python: Callable[..., Bars]) -> Kernel:
    """Make a kernel of a function; see `Kernel` for what it may be."""
    return Kernel(python)


@cache
def digest() -> str:
    """Hash of the source of every kernel: another digest, other values."""
    content = b"".join(path.read_bytes() for path in sorted(SOURCES.rglob("*.py")))
    return hashlib.sha256(content).hexdigest()[:16]


def compiled_to() -> Path:
    """Folder of what the sources as they are now compile to.

    numba notices a change in a function's own file only; a folder per state of all sources notices every one.
    """
    return SOURCES / "__pycache__" / f"kernels-{digest()}"


def _compile(python: Callable[..., Any], name: str | None = None, **values: Any) -> Any:
    """Compile a copy of a function whose kernels are replaced by what they compile to."""
    import numba

    numba.config.CACHE_DIR = str(compiled_to())
    assert isinstance(python, FunctionType)
    known = python.__globals__
    called = {name: known[name].compiled for name in python.__code__.co_names if isinstance(known.get(name), Kernel)}
    copy = FunctionType(python.__code__, {**known, **called, **values}, python.__name__, python.__defaults__)
    copy.__module__, copy.__qualname__ = python.__module__, name or python.__qualname__
    return numba.njit(cache=True, nogil=True, error_model="numpy")(copy)


def function(*_: Any) -> Bars:
    """Stand for the kernel in the drivers below, each of which is compiled once per kernel."""
    raise NotImplementedError


def _over_1(starts: Index, a: Bars, parameters: tuple[float, ...], out: Bars) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_2(starts: Index, a: Bars, b: Bars, parameters: tuple[float, ...], out: Bars) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_3(starts: Index, a: Bars, b: Bars, c: Bars, parameters: tuple[float, ...], out: Bars) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], c[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_4(starts: Index, a: Bars, b: Bars, c: Bars, d: Bars, parameters: tuple[float, ...], out: Bars) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], c[i:j], d[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_5(
    starts: Index, a: Bars, b: Bars, c: Bars, d: Bars, e: Bars, parameters: tuple[float, ...], out: Bars
) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], c[i:j], d[i:j], e[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


_DRIVERS = (_over_1, _over_2, _over_3, _over_4, _over_5)
