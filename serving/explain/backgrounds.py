"""Model inputs between typical windows and the asked one, made once for all models with the same background."""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from feature_repo.targets import to_model_input
from serving.explain.players import Player, compose
from serving.explain.result import BackgroundUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from serving.engines import Background
    from serving.explain.remaking import RemadeForecast


class MixedInputs:
    """Inputs of every coalition from each of the four typical windows of a regime.

    Parameters
    ----------
    forecast
        Whose window is asked about.
    players
        Of the coalitions.
    coalitions
        By typical window, ``[coalition, player]``; as many for each.
    """

    def __init__(
        self, forecast: "RemadeForecast", players: "Sequence[Player]", coalitions: "Sequence[NDArray[np.bool_]]"
    ) -> None:
        self._forecast, self._players, self._coalitions = forecast, players, coalitions
        self._x = to_model_input(forecast.inputs.window[None])[0]
        self._made: dict[str, NDArray[np.float32]] = {}

    def of(self, background: "Background") -> "NDArray[np.float32]":
        """Return the inputs with the absent players of a background, ``[window * coalition, session, 2 * feature]``."""
        if background.digest not in self._made:
            typical = to_model_input(background.windows_of(self._forecast.inputs.row["regime"]))
            parts = [
                compose(self._x, window, coalitions, self._players)
                for window, coalitions in zip(typical, self._coalitions, strict=True)
            ]
            self._made[background.digest] = np.concatenate(parts)
        return self._made[background.digest]


def backgrounds_of(forecast: "RemadeForecast") -> tuple[BackgroundUse, ...]:
    """Return the typical windows that are compared with, each with the models it is for.

    Raises
    ------
    NotReadyError
        If a model was exported without typical windows.
    """
    users: dict[str, list[str]] = {}
    held: dict[str, Background] = {}
    for model in forecast.models:
        background = model.require_background()
        held[background.digest] = background
        users.setdefault(background.digest, []).append(model.use.name)
    return tuple(_use(held[digest], forecast.inputs.row["regime"], names) for digest, names in users.items())


def random_of(forecast: "RemadeForecast") -> np.random.Generator:
    """Return random numbers that are the same whenever the same forecast is explained."""
    digest = hashlib.sha256(str(forecast.inputs.row["forecast_id"]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest))


def _use(background: "Background", regime: str, models: "Sequence[str]") -> BackgroundUse:
    found = background.regime_of(regime)
    windows = tuple((window.symbol, window.as_of) for window in background.typical[found])
    return BackgroundUse(background.digest, found, windows, tuple(models))
