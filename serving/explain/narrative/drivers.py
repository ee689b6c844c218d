"""Drivers of a forecast, from the explanation of its median."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from serving.explain.result import Explanation


class Driver(NamedTuple):
    """Contribution of one feature to the median return, as a fraction, with its standard error where it has one."""

    feature: str
    value: float
    standard_error: float | None


@dataclass(frozen=True)
class Drivers:
    """Additive attribution of the median return: base value plus contributions is the median."""

    base_value: float
    features: tuple[Driver, ...]


def drivers_from(explanation: "Explanation") -> Drivers:
    """Return the contributions of every feature to the median return, and the base value that they add up from."""
    parts = explanation.contributions["p50"]
    features = tuple(Driver(each.player, each.contribution, each.standard_error) for each in parts)
    return Drivers(explanation.base_values["p50"], features)
