"""Where the networks of a stored forecast looked, by the graphs with attention in their bundles."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_repo.targets import to_model_input
from serving.engines import AttentionEngine, AttentionRead, no_attention

if TYPE_CHECKING:
    from serving.explain.remaking import RemadeForecast


@dataclass(frozen=True)
class ForecastAttention:
    """Weights behind a stored forecast.

    Parameters
    ----------
    forecast
        The forecast, with its models.
    reads
        By model with attention, the weights for the forecast's window.
    seconds
        That the computation took.
    """

    forecast: "RemadeForecast"
    reads: "dict[str, AttentionRead]"
    seconds: float

    @property
    def without(self) -> list[str]:
        """Models of the forecast that do not weigh what they look at."""
        return [model.use.name for model in self.forecast.models if model.use.name not in self.reads]


def attention_of(forecast: "RemadeForecast") -> ForecastAttention:
    """Compute where the networks of a stored forecast looked.

    Raises
    ------
    NoAttentionError
        If no model of the forecast has a graph with attention.
    """
    started = time.perf_counter()
    x = to_model_input(forecast.inputs.window[None])
    attentive = [model for model in forecast.models if model.bundle.explain_content is not None]
    if not attentive:
        raise no_attention([model.use.name for model in forecast.models])
    reads = {model.use.name: AttentionEngine.load(model.bundle).look(x) for model in attentive}
    return ForecastAttention(forecast, reads, time.perf_counter() - started)
