"""Mean absolute Shapley values of a sample of the measured windows, beside the rise of the loss."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from serving.explain import sampled_contributions
from serving.forecasts import BLEND
from serving.importance.reading import ALL_REGIMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from serving.engines import Background, Engine
    from serving.importance.exchange import FeatureSet
    from serving.importance.matured import MaturedPanel
    from serving.importance.subjects import Subject

WINDOWS = 100
"""Windows that are drawn, evenly over the measured sessions."""
FEWEST_WINDOWS = 10
"""Windows of a regime below which no mean over them is given."""


@dataclass(frozen=True)
class SampledContributions:
    """Shapley values of some windows by the models that have typical windows.

    Parameters
    ----------
    panel
        The measured windows.
    places
        ``[sample]``, places of the drawn windows in the panel.
    by_model
        ``[sample, feature, horizon]``, of the median.
    horizons
        Of each model, in the order of the last axis.
    """

    panel: "MaturedPanel"
    places: "NDArray[np.int64]"
    by_model: "Mapping[str, NDArray[np.float64]]"
    horizons: "Mapping[str, tuple[int, ...]]"

    @classmethod
    def of(
        cls, panel: "MaturedPanel", engines: "Mapping[str, Engine]", backgrounds: "Mapping[str, Background]"
    ) -> "SampledContributions":
        """Explain a sample of the windows by every model that has a background."""
        count = panel.keys.height
        places = np.unique(np.linspace(0, count - 1, min(WINDOWS, count)).round().astype(np.int64))
        x, regimes = panel.x[places], panel.regime[places].tolist()
        found = {
            name: sampled_contributions(engines[name], background, x, regimes)
            for name, background in backgrounds.items()
            if name in engines
        }
        return cls(panel, places, found, {name: engines[name].signature.horizons for name in found})

    def mean_absolute(self, subject: "Subject", regime: str, exchange: "FeatureSet") -> float | None:
        """Return the mean absolute value of a feature; None for a cluster, and where too little is known.

        Of a cluster there is none: the value of features that join together is not the sum of theirs.
        """
        if len(exchange.places) > 1 or not set(subject.members) <= set(self.by_model):
            return None
        is_counted = subject.is_measured[self.places] & (
            (regime == ALL_REGIMES) | (self.panel.regime[self.places] == regime)
        )
        if is_counted.sum() < FEWEST_WINDOWS:
            return None
        values = sum(self._weighted(name, subject, exchange.places[0]) for name in subject.members)
        return float(np.abs(values)[is_counted].mean())

    def _weighted(self, model: str, subject: "Subject", feature: int) -> "NDArray[np.float64]":
        """Contribution of a feature to a model's median times the model's weight, ``[sample]``.

        The correction of the band leaves the median as it is.
        """
        values = self.by_model[model][:, feature, self.horizons[model].index(subject.horizon)]
        weight = self.panel.weights[subject.horizon][model][self.places] if subject.name == BLEND else 1.0
        return values * weight
