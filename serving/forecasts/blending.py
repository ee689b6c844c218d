"""Blends quantiles of models, names the blend, and derives direction and its probability from the quantiles."""

import hashlib
import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lake.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from serving.api import Direction

BLEND = "blend"
"""Name of what answered where several models did."""
TENTH = 1.2815515655446004
"""Distance of the 10 % and 90 % points from the median of a standard normal distribution."""


WEIGHT_TOLERANCE = 1e-6


class Member(NamedTuple):
    """One model's part in an answer."""

    name: str
    version: str
    digest: str
    weight: float


def blend(
    predictions: "Mapping[str, NDArray[np.float32]]", weights: "Mapping[str, NDArray[np.float64] | float]"
) -> "NDArray[np.float64]":
    """Average the quantiles of several models.

    Averaging quantiles rather than probabilities keeps the blend as sharp as its members (Lichtendahl,
    Grushka-Cockayne and Winkler 2013, "Is it better to average probabilities or quantiles?").
    Ordered quantiles stay ordered, and the blend of equal forecasts is that forecast.

    Parameters
    ----------
    predictions
        By model, ``[batch, horizon, quantile]``.
    weights
        By model, one number for all or ``[window, horizon]``; they sum to one for every window and horizon. Models with
        a weight but no prediction are an error, never left out.

    Raises
    ------
    ModelError
        If a weighted model has no prediction, a weight is negative, or weights do not sum to one.

    Examples
    --------
    >>> predictions = {"naive": np.array([[[-0.04, 0.0, 0.04]]], np.float32), "ridge": np.zeros((1, 1, 3), np.float32)}
    >>> blend(predictions, {"naive": 0.25, "ridge": 0.75}).round(3)
    array([[[-0.01,  0.  ,  0.01]]])
    """
    missing = sorted(name for name, weight in weights.items() if np.any(weight) and name not in predictions)
    if missing:
        raise ModelError(
            f"The weights of the blend name {', '.join(missing)}, for which there is no prediction. Predictions exist "
            f"for {', '.join(sorted(predictions))}. Promote the missing models, or update `blend_weights` without them."
        )
    shares = np.broadcast_arrays(*(np.asarray(weight, np.float64) for weight in weights.values()))
    share_of = dict(zip(weights, shares, strict=True))
    total = np.asarray(sum(shares))
    if not (np.abs(total - 1.0) <= WEIGHT_TOLERANCE).all() or any((share < 0).any() for share in shares):
        raise ModelError(
            f"The weights of models have to be positive and sum to one; found {dict(weights)}. Update `blend_weights`."
        )
    names = [name for name in predictions if name in share_of]
    weighted = np.stack([np.atleast_2d(share_of[name]) for name in names])[..., None]  # [model, batch, horizon, 1]
    quantiles = np.stack([predictions[name] for name in names]).astype(np.float64)  # [model, batch, horizon, quantile]
    answer: NDArray[np.float64] = (weighted * quantiles).sum(axis=0)
    answer /= np.atleast_2d(total)[..., None]
    return answer


def weights_without(weights: "Mapping[str, float]", left_out: "Collection[str]") -> "Mapping[str, float]":
    """Return the weights of the models that are not left out, which sum to one; none where all are.

    Parameters
    ----------
    left_out
        Models that were not trained for the horizon of the weights. Without one that has a weight, the weights are
        returned as they are, to the last bit.

    Examples
    --------
    >>> weights_without({"garch": 0.375, "ridge": 0.125, "tft": 0.5}, {"tft"})
    {'garch': 0.75, 'ridge': 0.25}
    """
    kept = {name: weight for name, weight in weights.items() if name not in left_out}
    if len(kept) == len(weights):
        return weights
    total = sum(kept.values())
    return {name: weight / total for name, weight in kept.items()}


def name_blend(members: "Sequence[Member]") -> Member:
    """Return name, version and digest of what answered: the only member itself, or ``blend`` composed of all of them.

    The digest of a blend is the SHA-256 over its members' names and digests, so it changes when any of them does.

    Examples
    --------
    >>> name_blend([Member("ridge", "7", "ab", 0.5), Member("naive", "2", "cd", 0.5)])[:2]
    ('blend', 'naive-2+ridge-7')
    """
    return _named(tuple(members))


@lru_cache(maxsize=1_024)
def _named(members: tuple[Member, ...]) -> Member:
    if len(members) == 1:
        return members[0]
    ordered = sorted(members)
    version = "+".join(f"{member.name}-{member.version}" for member in ordered)
    digest = hashlib.sha256("\n".join(f"{member.name} {member.digest}" for member in ordered).encode()).hexdigest()
    return Member(BLEND, version, digest, 1.0)


def direction_of(p50: float) -> "Direction":
    """Return the sign of the median; ``flat`` for a median of exactly zero.

    Examples
    --------
    >>> direction_of(0.01), direction_of(0.0)
    ('up', 'flat')
    """
    if p50 > 0:
        return "up"
    return "down" if p50 < 0 else "flat"


def sign_probability(p10: float, p50: float, p90: float) -> float:
    """Probability that the return has the sign of the median, as the three quantiles say it.

    The distribution is a two-piece normal through the quantiles: standard normal in
    ``z(x) = 1.2816 (x - p50) / (p90 - p50)`` above the median and ``1.2816 (x - p50) / (p50 - p10)`` below it, so that
    ``P(return <= p10) = 0.1``, ``P(return <= p50) = 0.5`` and ``P(return <= p90) = 0.9`` exactly. For a positive
    median ``P(return > 0) = Phi(1.2816 p50 / (p50 - p10))``; for a negative one
    ``P(return < 0) = Phi(1.2816 |p50| / (p90 - p50))``; for a median of zero either sign has 0.5.
    Counting how often the direction came true in each bin of this number checks it.

    Returns
    -------
    float
        From 0.5 to 1.

    Examples
    --------
    >>> round(sign_probability(-0.01, 0.01, 0.03), 3), sign_probability(-0.01, 0.0, 0.01)
    (0.739, 0.5)
    """
    width = p50 - p10 if p50 > 0 else p90 - p50
    if p50 == 0:
        return 0.5
    if width <= 0:
        return 1.0
    return 0.5 * (1.0 + math.erf(TENTH * abs(p50) / width / math.sqrt(2.0)))
