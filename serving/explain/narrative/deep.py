"""What a written explanation of depth ``deep`` says beyond the others, part by part; each is computed on its own.

- stability: contributions from more orders, and how well their order holds within the error of the values
- line: how faithful a straight line (LIME) is to the models around the forecast
- similar windows: past closes of the symbol with like features, and what followed
- scenarios: the forecast from a last bar whose close is another
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self, get_args

from serving.explain.narrative.drivers import Drivers, drivers_from
from serving.explain.result import Stability
from serving.explain.similar import SimilarWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.explain.result import Explanation
    from serving.explain.what_if import WhatIf

DeepPart = Literal["stability", "line", "similar_windows", "scenario_down", "scenario_up"]
DEEP_PARTS: tuple[DeepPart, ...] = get_args(DeepPart)
"""In the order in which they are computed."""
CLOSE_CHANGES: dict[DeepPart, float] = {"scenario_down": -0.03, "scenario_up": 0.03}
"""What a scenario adds to the close of the last bar, as a fraction of it."""


@dataclass(frozen=True)
class LineFidelity:
    """Share of the variance of the models around the forecast that a straight line explains, and whether it is enough.

    Parameters
    ----------
    r2
        Of the median; 1 where nothing varies.
    least
        From which on it is faithful.
    """

    r2: float
    least: float

    @property
    def is_faithful(self) -> bool:
        """Whether the line may be read as an explanation."""
        return self.r2 >= self.least


@dataclass(frozen=True)
class BarScenario:
    """Forecast from a last bar with another close.

    Parameters
    ----------
    close_change
        Of the close, as a fraction of it.
    p10, p50, p90
        Returns from the changed close, as fractions.
    moved, outside
        How many features moved, and how many of those lie outside 1-99 % of training.
    """

    close_change: float
    p10: float
    p50: float
    p90: float
    moved: int
    outside: int


@dataclass(frozen=True)
class DeepFindings:
    """What was found so far; None, or no scenario, where a part was not computed."""

    drivers: Drivers | None = None
    stability: Stability | None = None
    line: LineFidelity | None = None
    similar: tuple[SimilarWindow, ...] = ()
    scenarios: tuple[BarScenario, ...] = ()

    def with_found(self, other: "DeepFindings") -> Self:
        """Return these with the parts that others have."""
        return replace(
            self,
            drivers=other.drivers or self.drivers,
            stability=other.stability or self.stability,
            line=other.line or self.line,
            similar=other.similar or self.similar,
            scenarios=(*self.scenarios, *other.scenarios),
        )


def stability_findings(explanation: "Explanation") -> DeepFindings:
    """Return the contributions of a deep explanation and their stability, of the median."""
    stability = None if explanation.stability is None else explanation.stability["p50"]
    return DeepFindings(drivers=drivers_from(explanation), stability=stability)


def line_findings(explanation: "Explanation", least: float) -> DeepFindings:
    """Return how faithful a straight line is to the median; `least` is the fidelity from which on it counts."""
    assert explanation.fidelity_r2 is not None
    return DeepFindings(line=LineFidelity(explanation.fidelity_r2["p50"], least))


def similar_findings(windows: "Sequence[SimilarWindow]") -> DeepFindings:
    """Return similar windows, the nearest first."""
    return DeepFindings(similar=tuple(windows))


def scenario_findings(close_change: float, answer: "WhatIf") -> DeepFindings:
    """Return the forecast from a bar with another close."""
    changed = answer.changed
    assert changed is not None
    outside = sum(not each.is_inside_range for each in answer.moved)
    made = BarScenario(close_change, changed.p10, changed.p50, changed.p90, len(answer.moved), outside)
    return DeepFindings(scenarios=(made,))
