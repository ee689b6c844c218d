"""Feature functions as compiled loops: written in plain Python over one symbol, run over all of them.

A kernel is compiled when it is first called, by one process at a time, and kept on disk for all later ones. The first
call imports numba, so that declaring a feature stays cheap.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import cache, cached_property, update_wrapper
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import numpy.typing as npt

from lake.compiled import SOURCE, compile_copy, kernel_folder, marker_of
from lake.disk import digest_of_sources
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
        Takes arrays annotated as `Bars` first, then numbers annotated as `int` or `float`, and returns `Bars` of the
        same size. It may look back and never ahead, and may call other kernels by their global names.
    """

    def __init__(self, python: Callable[..., Bars]) -> None:
        annotations = [parameter.annotation for parameter in inspect.signature(python).parameters.values()]
        self.arrays = annotations.count(Bars)
        self.types = tuple(annotations[self.arrays :])
        self.numbers = len(self.types)
        if not 1 <= self.arrays <= len(_DRIVERS):
            raise ConfigError(
                f"Kernel '{python.__name__}' takes {self.arrays} arrays annotated as Bars; between 1 and "
                f"{len(_DRIVERS)} are possible."
            )
        if not {int, float}.issuperset(self.types):
            raise ConfigError(
                f"Kernel '{python.__name__}' takes {list(self.types)} after its arrays; annotate each as int or float."
            )
        self.python = python
        self.name: str = python.__name__
        update_wrapper(self, python)

    def __call__(self, *arguments: Any) -> Bars:
        """Run the compiled function over one symbol."""
        bars = [np.require(values, np.float64, ["C", "W"]) for values in arguments[: self.arrays]]
        values: Bars = self.compiled(*bars, *arguments[self.arrays :])
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
        numbers = tuple(of(number) for of, number in zip(self.types, parameters, strict=True))
        _driver(self.arrays, self.types)(starts, *inputs, numbers, out, self.compiled)

    def compile(self) -> None:
        """Compile everything that `over` needs."""
        _driver(self.arrays, self.types)
        _ = self.compiled

    @property
    def is_on_disk(self) -> bool:
        """Whether some process has compiled it already."""
        return marker_of(self.python, compiled_to()).exists()

    @cached_property
    def compiled(self) -> Any:
        """The function of one symbol, compiled by this or by an earlier process."""
        return _compile(self.python, _signature(self.arrays, self.types))


def kernel(python: Callable[..., Bars]) -> Kernel:
    """Make a kernel of a function; see `Kernel` for what it may be."""
    return Kernel(python)


@cache
def digest() -> str:
    """Hash of the source of every kernel, and of how kernels are compiled: another digest, other values."""
    return digest_of_sources([*SOURCES.rglob("*.py"), SOURCE])


@cache
def compiled_to() -> Path:
    """Folder of what the sources as they are now compile to: beside them, or in the home where they are read-only."""
    return kernel_folder(SOURCES, digest())


def _compile(python: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Compile a copy of a function, whose kernels are replaced by what they compile to, for the types given."""
    return compile_copy(python, arguments, lambda: _compiled_calls(python), compiled_to())


def _compiled_calls(python: Callable[..., Any]) -> dict[str, Any]:
    """Kernels that a function names, as what they compile to."""
    assert isinstance(python, FunctionType)
    known = python.__globals__
    return {name: known[name].compiled for name in python.__code__.co_names if isinstance(known.get(name), Kernel)}


def _signature(arrays: int, numbers: Sequence[type]) -> list[Any]:
    """Types of a kernel's arguments as numba names them."""
    from numba import types

    return [types.float64[::1]] * arrays + [_number(number) for number in numbers]


def _number(number: type) -> Any:
    from numba import types

    return types.int64 if number is int else types.float64


@cache
def _driver(arrays: int, numbers: tuple[type, ...]) -> Any:
    """Compile the loop over symbols for all kernels that take so many arrays and these numbers.

    The kernel is an argument: a loop of its own for each kernel would be compiled as long as the kernels themselves.
    """
    from numba import types

    bars = types.float64[::1]
    function = types.FunctionType(bars(*_signature(arrays, numbers)))
    parameters = types.Tuple([_number(number) for number in numbers])
    return _compile(_DRIVERS[arrays - 1], [types.int64[::1], *[bars] * arrays, parameters, bars, function])


def _over_1(starts: Index, a: Bars, parameters: tuple[float, ...], out: Bars, function: Any) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_2(starts: Index, a: Bars, b: Bars, parameters: tuple[float, ...], out: Bars, function: Any) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_3(starts: Index, a: Bars, b: Bars, c: Bars, parameters: tuple[float, ...], out: Bars, function: Any) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], c[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_4(
    starts: Index, a: Bars, b: Bars, c: Bars, d: Bars, parameters: tuple[float, ...], out: Bars, function: Any
) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], c[i:j], d[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


def _over_5(
    starts: Index, a: Bars, b: Bars, c: Bars, d: Bars, e: Bars, parameters: tuple[float, ...], out: Bars, function: Any
) -> None:
    for symbol in range(starts.size - 1):
        i, j = starts[symbol], starts[symbol + 1]
        values = function(a[i:j], b[i:j], c[i:j], d[i:j], e[i:j], *parameters)
        for t in range(values.size):
            out[i + t] = values[t] if math.isfinite(values[t]) else math.nan


_DRIVERS = (_over_1, _over_2, _over_3, _over_4, _over_5)
