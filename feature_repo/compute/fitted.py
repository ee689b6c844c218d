"""Kernels whose parameters are fitted once a year, and the fits that need not be made again.

A fit is a function of the closes it was made on and of nothing else, so it is kept under a digest of these closes: one
restated close is another digest, and another fit. Nothing has to be told that a bar changed, and no fit can be older
than its bars.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import pairwise

import numpy as np

from feature_repo.compute.kernel import Bars, Index, Kernel

KEY_BYTES = 16


@dataclass
class Fits:
    """Fits by what they were made on. Threads may share one.

    Parameters
    ----------
    known
        Parameters by the digest of kernel and closes.
    made
        How many were made here, because they were not known.

    Examples
    --------
    >>> import numpy as np
    >>> from feature_repo.compute.garch import garch_fit
    >>> closes, fits = np.array([10.0, 11.0, 10.5, 10.75]), Fits()
    >>> first, again = fits.of(garch_fit, closes), fits.of(garch_fit, closes)
    >>> first is again, fits.made
    (True, 1)
    """

    known: dict[bytes, Bars] = field(default_factory=dict)
    made: int = 0

    def of(self, fit: Kernel, close: Bars) -> Bars:
        """Return the parameters that a kernel fits on some closes."""
        key = blake2b(close.tobytes(), digest_size=KEY_BYTES, key=fit.name.encode()).digest()
        parameters = self.known.get(key)
        if parameters is None:
            parameters = fit(close)
            self.known[key] = parameters
            self.made += 1
        return parameters


class FittedKernel(Kernel):
    """A kernel over ``close, year, is_asked`` and ``sessions, horizon`` that can be given its fits.

    Called, it fits by itself. `over` computes the same values to the last bit from fits that are kept.

    Parameters
    ----------
    python
        As for `Kernel`: what the two parts compute together.
    fit
        Closes to parameters.
    expected
        Closes from the first fitted one on, parameters, number of values and `horizon` to the last so many values.
    seed
        Bars before the first value; the least number of returns fitted on.
    """

    def __init__(self, python: Callable[..., Bars], fit: Kernel, expected: Kernel, seed: int) -> None:
        super().__init__(python)
        self.fit, self.expected, self.seed = fit, expected, seed

    def over(
        self,
        starts: Index,
        inputs: Sequence[Bars],
        parameters: Sequence[float],
        out: Bars,
        fits: Fits | None = None,
    ) -> None:
        """Fill `out` symbol by symbol; a year whose closes were fitted on before is not fitted again."""
        (close, year, is_asked), (sessions, horizon) = inputs, map(int, parameters)
        fits, expected = Fits() if fits is None else fits, self.expected.compiled
        out[:] = np.nan
        for start, begin, end in _years(starts, year, is_asked, self.seed):
            first, until = max(start, begin - sessions - 1), max(begin, start + self.seed + 1)
            fit = fits.of(self.fit, close[first:until])
            out[begin:end] = expected(close[first:end], fit, end - begin, horizon)
        out[~np.isfinite(out)] = np.nan

    def compile(self) -> None:
        """Compile everything that `over` and a call need."""
        super().compile()
        self.fit.compile()
        self.expected.compile()


def fitted_kernel(*, fit: Kernel, expected: Kernel, seed: int) -> Callable[[Callable[..., Bars]], FittedKernel]:
    """Make a kernel of a function that refits each year; see `FittedKernel`."""
    return lambda python: FittedKernel(python, fit, expected, seed)


def _years(starts: Index, year: Bars, is_asked: Bars, seed: int) -> Iterator[tuple[int, int, int]]:
    """Yield ``(start, begin, end)`` of each year of which a bar is asked for: its symbol's first row, and its own.

    A symbol's first year with a value begins `seed` bars after its first row, whatever the calendar says.
    """
    changes = np.flatnonzero(np.diff(year)) + 1
    for start, stop in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        first = start + seed
        if first >= stop:
            continue
        inside = changes[np.searchsorted(changes, first, side="right") : np.searchsorted(changes, stop)]
        edges = [first, *inside.tolist(), stop]
        for begin, end in pairwise(edges):
            if is_asked[begin:end].any():
                yield start, begin, end
