"""Drivers of a forecast, from the explanation of its median."""

from typing import TYPE_CHECKING

from serving.explain.narrative.facts import Driver, Drivers

if TYPE_CHECKING:
    from serving.explain.result import Explanation


def drivers_from(explanation: "Explanation") -> Drivers:
    """Return the contributions of every feature to the median return, and the base value that they add up from."""
    parts = explanation.contributions["p50"]
    features = tuple(Driver(each.player, each.contribution, each.standard_error) for each in parts)
    return Drivers(explanation.base_values["p50"], features)
