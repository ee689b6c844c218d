"""Stopwatch of a micro-batch: start and end of each stage, for metrics and spans."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

Lap = tuple[float, float]
"""Start and end, of ``time.perf_counter()``."""


class Timed(Protocol):
    """A question with an optional callback for the laps of its batch."""

    @property
    def follow(self) -> "Callable[[Stopwatch], None] | None":
        """Callback, called with the laps once the answers are sent; None without one."""
        ...


@dataclass
class Stopwatch:
    """Laps of one batch.

    Parameters
    ----------
    stages
        By stage, in their order.
    engines
        By model: its call, within the stage ``compute``.
    """

    stages: dict[str, Lap] = field(default_factory=dict)
    engines: Mapping[str, Lap] = field(default_factory=dict)

    def lap(self, stage: str, start: float) -> float:
        """Note a stage that ends now; returns now."""
        now = time.perf_counter()
        self.stages[stage] = start, now
        return now

    def tell(self, questions: "Sequence[Timed]") -> None:
        """Call the `follow` callback of each question with the laps."""
        for question in questions:
            if question.follow is not None:
                question.follow(self)
