"""Result of an explanation: contributions of the features of a window to one forecast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Self
from uuid import uuid4

from serving.api.explanations import Depth, Grain, Method, Quantity

QUANTITIES: tuple[Quantity, ...] = ("p10", "p50", "p90", "width")
"""What one computation explains; the width is p90 - p10."""


@dataclass(frozen=True)
class Contribution:
    """The part of one player, in fractions of the reference price.

    Parameters
    ----------
    player
        Feature, feature in a block of sessions, or group of features.
    group
        Group of the feature; the player's own name where it is a group.
    value
        Value in the last session of the window; None where it is not known, for a group and for earlier sessions.
    contribution, standard_error
        Shapley value and its standard error over the sampled orders; None for the error of another method.
    percentile
        Share of training windows, in percent, whose last value is at most `value`; None where that is not known.
    """

    player: str
    group: str
    value: float | None
    contribution: float
    standard_error: float | None
    percentile: float | None


@dataclass(frozen=True)
class MemberExplanation:
    """One model's own values, after the correction of the band and before its weight; by quantity."""

    model: str
    version: str
    digest: str
    weight: float
    pairs: int
    base_values: Mapping[Quantity, float]
    values: Mapping[Quantity, float]
    contributions: Mapping[Quantity, tuple[float, ...]]


@dataclass(frozen=True)
class BackgroundUse:
    """The typical windows that absent features of some models were taken from."""

    hash: str
    regime: str
    windows: tuple[tuple[str, datetime], ...]
    models: tuple[str, ...]


class Stability(NamedTuple):
    """Rank correlations of the contributions of moved windows with those of the true one."""

    windows: int
    mean: float
    lowest: float

    @classmethod
    def of(cls, correlations: Sequence[float]) -> Self:
        """Summarise the correlations of some windows."""
        return cls(len(correlations), sum(correlations) / len(correlations), min(correlations))


@dataclass(frozen=True)
class Explanation:
    """Contributions to p10, p50, p90 and the width of one forecast, from one computation.

    For every quantity ``base_values + sum(contributions) = values``, up to `additivity_error`.

    Parameters
    ----------
    horizon
        Bars ahead.
    base_values
        By quantity, the mean forecast of the background windows.
    values
        By quantity, what was forecast.
    contributions
        By quantity, in the order of the players.
    trust
        Share of the distance from a half that is believed of the probability of the direction.
    additivity_error
        Largest distance of base value plus contributions from the value, over the quantities.
    fidelity_r2
        By quantity, how much of the variance the line of a surrogate explains; None for other methods.
    unexplained_share
        Share in the blend of models without gradients, for integrated gradients; None for other methods.
    stability
        By quantity; None for another depth than ``deep`` and for a surrogate.
    explanation_id
        Key of its row in the table `explanations`; one for each computation.
    """

    prediction_id: str
    symbol: str
    as_of: datetime
    horizon: int
    method: Method
    depth: Depth
    grain: Grain
    base_values: Mapping[Quantity, float]
    values: Mapping[Quantity, float]
    contributions: Mapping[Quantity, tuple[Contribution, ...]]
    members: tuple[MemberExplanation, ...]
    backgrounds: tuple[BackgroundUse, ...]
    trust: float
    additivity_error: float
    fidelity_r2: Mapping[Quantity, float] | None
    engine: str
    devices: tuple[str, ...]
    seconds: float
    unexplained_share: float | None = None
    stability: Mapping[Quantity, Stability] | None = None
    explanation_id: str = field(default_factory=lambda: uuid4().hex)

    def largest(self, quantity: Quantity) -> tuple[Contribution, ...]:
        """Return the contributions to a quantity, those of the largest amount first."""
        return tuple(sorted(self.contributions[quantity], key=lambda each: (-abs(each.contribution), each.player)))
