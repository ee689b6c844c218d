"""From the contributions of each model to the explanation of the forecast."""

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from serving.explain.backgrounds import backgrounds_of
from serving.explain.result import QUANTITIES, Contribution, Explanation, MemberExplanation
from serving.forecasts import trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from serving.api.explanations import Depth, Grain, Method, Quantity
    from serving.explain.models import ExplainedModel
    from serving.explain.players import Player
    from serving.explain.remaking import RemadeForecast


class ForecastSplit(NamedTuple):
    """A forecast of one model, or of the blend, split among the players.

    Parameters
    ----------
    base, value
        ``[quantity]``, in the order of `QUANTITIES`.
    contributions
        ``[player, quantity]``.
    seconds
        That the model took.
    """

    base: "NDArray[np.float64]"
    value: "NDArray[np.float64]"
    contributions: "NDArray[np.float64]"
    seconds: float


class Way(NamedTuple):
    """How a forecast was explained.

    Parameters
    ----------
    pairs
        Pairs of opposite permutations from each typical window; 0 where none were drawn.
    fidelity_r2
        By quantity, of a surrogate; None for another method.
    unexplained_share
        Share in the blend of models that the method does not split; None for a method that splits every model.
    """

    method: "Method"
    depth: "Depth"
    grain: "Grain"
    pairs: int = 0
    fidelity_r2: "Mapping[Quantity, float] | None" = None
    unexplained_share: float | None = None


def with_width(quantiles: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Append the width: ``[..., p10 p50 p90] -> [..., p10 p50 p90 width]``."""
    return np.concatenate([quantiles, quantiles[..., 2:] - quantiles[..., :1]], axis=-1)


def blend_splits(forecast: "RemadeForecast", splits: "Sequence[ForecastSplit]") -> ForecastSplit:
    """Return the split of the blend: its models' splits, weighted."""
    return ForecastSplit(
        base=forecast.blended([split.base for split in splits]),
        value=with_width(forecast.stored),
        contributions=forecast.blended([split.contributions for split in splits]),
        seconds=math.fsum(split.seconds for split in splits),
    )


def assemble(
    forecast: "RemadeForecast",
    players: "Sequence[Player]",
    splits: "Sequence[ForecastSplit]",
    way: Way,
    *,
    errors: "NDArray[np.float64] | None",
    seconds: float,
) -> Explanation:
    """Put the explanation together.

    Parameters
    ----------
    splits
        One per model, in the order of the forecast's.
    errors
        ``[player, quantity]``, standard errors of the blend's contributions; None where there are none.
    """
    row, blended = forecast.inputs.row, blend_splits(forecast, splits)
    distances = np.abs(blended.base + blended.contributions.sum(axis=0) - blended.value)
    columns = {name: place for place, name in enumerate(QUANTITIES)}
    return Explanation(
        prediction_id=row["forecast_id"],
        symbol=row["symbol"],
        as_of=row["event_time"],
        horizon=forecast.horizon,
        method=way.method,
        depth=way.depth,
        grain=way.grain,
        base_values=_by_quantity(blended.base),
        values=_by_quantity(blended.value),
        contributions={
            name: tuple(
                _contribution(forecast, player, float(blended.contributions[number, place]), _of(errors, number, place))
                for number, player in enumerate(players)
            )
            for name, place in columns.items()
        },
        members=tuple(
            _member(model, share, split, way.pairs)
            for model, share, split in zip(forecast.models, forecast.shares, splits, strict=True)
        ),
        backgrounds=backgrounds_of(forecast),
        trust=trust_of(forecast.inputs.calibration, forecast.horizon),
        additivity_error=float(distances.max()),
        fidelity_r2=way.fidelity_r2,
        unexplained_share=way.unexplained_share,
        engine=forecast.engine_name,
        devices=tuple(forecast.devices),
        seconds=seconds,
    )


def _contribution(
    forecast: "RemadeForecast", player: "Player", contribution: float, error: float | None
) -> Contribution:
    """Describe one player's part, with the value of its feature and the percentile of that in training."""
    value = percentile = None
    if player.name in forecast.inputs.spec.features:
        last = float(forecast.inputs.window[-1, player.places[0]])
        if not math.isnan(last):
            value = last
            percentile = forecast.models[0].require_background().percentile_of(player.name, last)
    return Contribution(player.name, player.group, value, contribution, error, percentile)


def _member(model: "ExplainedModel", share: float, split: ForecastSplit, pairs: int) -> MemberExplanation:
    by_quantity = {name: tuple(split.contributions[:, place].tolist()) for place, name in enumerate(QUANTITIES)}
    return MemberExplanation(
        model=model.use.name,
        version=model.use.version,
        digest=model.use.digest,
        weight=share,
        pairs=pairs,
        seconds=split.seconds,
        base_values=_by_quantity(split.base),
        values=_by_quantity(split.value),
        contributions=by_quantity,
    )


def _by_quantity(values: "NDArray[np.float64]") -> "dict[Quantity, float]":
    return dict(zip(QUANTITIES, values.tolist(), strict=True))


def _of(errors: "NDArray[np.float64] | None", player: int, quantity: int) -> float | None:
    return None if errors is None else float(errors[player, quantity])
