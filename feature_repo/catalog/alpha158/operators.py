"""What one of Qlib's expressions over a window is: a feature per number of bars."""

from dataclasses import dataclass

from feature_repo.compute.kernel import Kernel
from feature_repo.spec import Feature
from lake.horizons import DAY, INTERVALS

SOURCE = "Qlib 0.9.7, Alpha158 (Microsoft Corporation, MIT licence): qlib/contrib/data/loader.py"
NO_PRICE = "where the source has closes only"
NO_VOLUME = "where the source has no volume"
TRADED = (DAY,)
"""Intervals whose bars have volume. Many a minute has none, and Qlib's constants beside it, 1e-12 and 1, would make
values that depend on the unit of volume."""
IS_FLAT = "where the deviation within the window is at most 2e-5"


@dataclass(frozen=True)
class Operator:
    """One of Qlib's expressions over a window of n bars: a feature per window.

    Parameters
    ----------
    name
        Of the features, before the number of bars.
    constants
        Parameters of the function after the window.
    formula, meaning
        With ``{n}`` for the number of bars.
    first
        Bars needed for the first value; 0 for one more than the window, which cannot be partial.
    before
        Bars that a value depends on besides those of its window.
    """

    name: str
    function: Kernel
    inputs: tuple[str, ...]
    formula: str
    meaning: str
    constants: tuple[float, ...] = ()
    first: int = 1
    before: int = 0
    unit: str = "ratio"
    null_rule: str = "never after the first value"
    minimum: float | None = 0
    maximum: float | None = None
    intervals: tuple[str, ...] = INTERVALS

    def over(self, window: int) -> Feature:
        """The feature of one window."""
        return Feature(
            name=f"{self.name}{window}",
            function=self.function,
            inputs=self.inputs,
            parameters=(window, *self.constants),
            lookback=self.first or window + self.before,
            warm_up=window + self.before,
            unit=self.unit,
            formula=self.formula.format(n=window),
            meaning=self.meaning.format(n=window),
            null_rule=self.null_rule,
            source=SOURCE,
            minimum=self.minimum,
            maximum=self.maximum,
            intervals=self.intervals,
        )
