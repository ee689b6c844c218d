"""From the integrated gradients of the networks to the explanation of the blend."""

import time
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.targets import to_model_input
from lake.errors import NoGradientsError
from serving.explain.assembly import ForecastSplit, Way, assemble, with_width
from serving.explain.gradients.integrate import integrated_gradients
from serving.explain.gradients.networks import TrainedNetworks, is_network
from serving.explain.players import Player, players_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from lake.settings import Settings
    from serving.api.explanations import Depth, Grain
    from serving.explain.models import ExplainedModel
    from serving.explain.remaking import RemadeForecast
    from serving.explain.result import Explanation

UNEXPLAINED = Player("not explained by gradients", "models without gradients", ())
"""Stands for what the models without gradients add to the distance from the base value."""


class GradientExplanations:
    """Explains forecasts by the integrated gradients of their networks.

    Parameters
    ----------
    configured
        Say where the home is, which holds the weights.
    """

    def __init__(self, configured: "Settings") -> None:
        self._networks = TrainedNetworks(configured)

    def explain(self, forecast: "RemadeForecast", depth: "Depth" = "fast", grain: "Grain" = "feature") -> "Explanation":
        """Split a forecast into contributions of its features, from the four typical windows and 64 steps each.

        Which features are known is held fixed; a value that a typical window does not know stays as it is. In a blend
        the networks are split by feature, and what the other models add is one contribution, `UNEXPLAINED`.

        Raises
        ------
        NoGradientsError
            If no model of the forecast is a network.
        NotReadyError
            If the home does not hold the weights of a network, or a model was exported without typical windows.
        ParityError
            If a network computes something else than its engine.
        """
        started = time.perf_counter()
        networks = [is_network(model.use.name) for model in forecast.models]
        if not any(networks):
            raise no_gradients([model.use.name for model in forecast.models])
        players = players_of(forecast.inputs.spec.features, grain)
        splits = [
            self._by_gradients(forecast, model, players) if has_gradients else _as_a_whole(forecast, model, players)
            for model, has_gradients in zip(forecast.models, networks, strict=True)
        ]
        shares = zip(forecast.shares, networks, strict=True)
        way = Way(
            "integrated_gradients", depth, grain, unexplained_share=sum(share for share, has in shares if not has)
        )
        seconds = time.perf_counter() - started
        return assemble(forecast, (*players, UNEXPLAINED), splits, way, errors=None, seconds=seconds)

    def _by_gradients(
        self, forecast: "RemadeForecast", model: "ExplainedModel", players: "Sequence[Player]"
    ) -> ForecastSplit:
        started = time.perf_counter()
        x, baselines = _ends(forecast, model)
        network = self._networks.of(model, np.concatenate([x[None], baselines]))
        horizon = model.engine.signature.horizons.index(forecast.horizon)
        by_feature = integrated_gradients(network, x, baselines, horizon).sum(axis=0)  # [feature, quantile]
        by_player = np.stack([by_feature[list(player.places)].sum(axis=0) for player in players])
        contributions = with_width(forecast.corrected(by_player))
        return _split(forecast, model, np.vstack([contributions, np.zeros(contributions.shape[1])]), started)


def no_gradients(models: "Sequence[str]") -> NoGradientsError:
    """Return the error of a forecast of which no model is a network."""
    return NoGradientsError(
        f"No model of the forecast is a network, found {', '.join(models)}: their forecasts have no gradients. The "
        "method shapley explains every model."
    )


def _as_a_whole(forecast: "RemadeForecast", model: "ExplainedModel", players: "Sequence[Player]") -> ForecastSplit:
    """Split nothing: what a model without gradients adds is the contribution of `UNEXPLAINED`."""
    started = time.perf_counter()
    split = _split(forecast, model, np.zeros((len(players) + 1, 4)), started)
    split.contributions[-1] = split.value - split.base
    return split


def _split(
    forecast: "RemadeForecast", model: "ExplainedModel", contributions: "NDArray[np.float64]", started: float
) -> ForecastSplit:
    x, baselines = _ends(forecast, model)
    quantities = with_width(forecast.of_member(model, np.concatenate([x[None], baselines])))
    return ForecastSplit(quantities[1:].mean(axis=0), quantities[0], contributions, time.perf_counter() - started)


def _ends(forecast: "RemadeForecast", model: "ExplainedModel") -> "tuple[NDArray[np.float32], NDArray[np.float32]]":
    """Return the asked model input, and the typical ones with its flags: ``[window, session, 2 * feature]``."""
    x = to_model_input(forecast.inputs.window[None])[0]
    values, flags = np.split(x, 2, axis=-1)
    typical = model.require_background().windows_of(forecast.inputs.row["regime"])
    held = np.where(np.isnan(typical) | (flags == 0), values, typical)
    return x, np.concatenate([held, np.broadcast_to(flags, held.shape)], axis=-1).astype(np.float32)
