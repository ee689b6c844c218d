"""The Temporal Fusion Transformer (Lim et al. 2021, arXiv:1912.09363), as small as it can be and still be one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lake.errors import ConfigError
from lake.horizons import SESSION_OF_MINUTES
from training.models.attention import AttentionWeights, AttentiveForecaster
from training.models.base import Window
from training.models.layers import (
    GateAddNorm,
    GatedResidualNetwork,
    InterpretableMultiHeadAttention,
    QuantileHead,
    VariableSelectionNetwork,
)
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec


class TemporalFusionTransformer(AttentiveForecaster):
    """Variable selection, LSTM encoder and decoder, and attention from the steps ahead back over the window.

    What is static about a window is which features are known at its last session; what is observed are the scaled
    values; what is known ahead is only the step number, 1 to the longest horizon. A decoder step sees the
    window and the steps before it; the steps that are horizons are read out.

    Parameters
    ----------
    hidden
        Size `d` of everything inside; a multiple of `heads`.
    heads
        Attention heads.
    dropout
        Share that is dropped before each gate in training.

    Raises
    ------
    ConfigError
        If `hidden` is not a multiple of `heads`.
    """

    visible: Tensor

    def __init__(
        self,
        inputs: InputSpec,
        outputs: OutputSpec,
        scaler: FeatureScaler | None = None,
        *,
        hidden: int = 16,
        heads: int = 2,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(inputs, outputs, scaler)
        if hidden % heads:
            raise ConfigError(f"hidden={hidden} is not a multiple of heads={heads}. Choose e.g. hidden={heads * 8}.")
        self.hidden, self.attention_heads, self.rate = hidden, heads, dropout
        features, self.chosen = len(inputs.features), decoder_steps(outputs.horizons)
        self.steps = self.chosen[-1] + 1
        self.select_static = VariableSelectionNetwork(features, hidden, dropout=dropout)
        self.contexts = nn.ModuleDict(
            {
                name: GatedResidualNetwork(hidden, hidden, hidden, dropout=dropout)
                for name in ("selection", "enrichment", "state", "cell")
            }
        )
        self.select_past = VariableSelectionNetwork(features, hidden, has_context=True, dropout=dropout)
        self.step_ahead = nn.Parameter(torch.randn(self.steps, hidden) * 0.1)
        self.select_ahead = GatedResidualNetwork(hidden, hidden, hidden, has_context=True, dropout=dropout)
        self.encoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.decoder = nn.LSTM(hidden, hidden, batch_first=True)
        self.after_lstm = GateAddNorm(hidden, dropout)
        self.enrich = GatedResidualNetwork(hidden, hidden, hidden, has_context=True, dropout=dropout)
        self.attend = InterpretableMultiHeadAttention(hidden, heads)
        self.after_attention = GateAddNorm(hidden, dropout)
        self.feed_forward = GatedResidualNetwork(hidden, hidden, hidden, dropout=dropout)
        self.after_feed_forward = GateAddNorm(hidden, dropout)
        self.head = QuantileHead(hidden, outputs, horizons=1)
        positions = torch.arange(inputs.sessions + self.steps)
        steps = positions[inputs.sessions :].unsqueeze(-1)
        self.register_buffer("visible", positions <= steps, persistent=False)  # [step, position]

    def heads(self, window: Window) -> Tensor:
        """Return z at the decoder steps that are horizons."""
        return self._decode(window)[0]

    def forward_with_weights(self, x: Tensor) -> tuple[Tensor, AttentionWeights]:
        """Return quantiles of the simple return, as `forward` does, and the weights behind them."""
        window = self.split(x)
        z, weights = self._decode(window)
        return z * self.sigma(window).unsqueeze(-1), weights

    def architecture(self) -> dict[str, int | float]:
        """Return the sizes it was made with."""
        return {"hidden": self.hidden, "heads": self.attention_heads, "dropout": self.rate}

    def _decode(self, window: Window) -> tuple[Tensor, AttentionWeights]:
        static, availability_weights = self.select_static(window.known[:, -1])  # [batch, d]
        past, feature_weights = self._select_past(window, self.contexts["selection"](static))
        local = self._encode(past, static)  # [batch, position, d]
        enriched = self.enrich(local, self.contexts["enrichment"](static).unsqueeze(1))
        ahead = enriched[:, -self.steps :]
        attended, attention = self.attend(ahead, enriched, self.visible)
        deep = self.feed_forward(self.after_attention(attended, ahead))
        final = self.after_feed_forward(deep, local[:, -self.steps :])  # [batch, step, d]
        z = torch.cat([self.head(final[:, step]) for step in self.chosen], dim=1)
        return z, AttentionWeights(attention[:, self.chosen], feature_weights, availability_weights)

    def _select_past(self, window: Window, context: Tensor) -> tuple[Tensor, Tensor]:
        sessions = self.inputs.sessions
        rows = context.unsqueeze(1).expand(-1, sessions, -1).flatten(0, 1)  # [batch * session, d]
        past, weights = self.select_past(window.scaled.flatten(0, 1), rows)
        return past.unflatten(0, (-1, sessions)), weights.unflatten(0, (-1, sessions))

    def _encode(self, past: Tensor, static: Tensor) -> Tensor:
        selection = self.contexts["selection"](static).unsqueeze(1)
        ahead = self.select_ahead(self.step_ahead, selection)  # [batch, step, d]
        start = (self.contexts["state"](static).unsqueeze(0), self.contexts["cell"](static).unsqueeze(0))
        encoded, state = self.encoder(past, start)
        decoded, _ = self.decoder(ahead, state)
        local: Tensor = self.after_lstm(torch.cat([encoded, decoded], dim=1), torch.cat([past, ahead], dim=1))
        return local


def decoder_steps(horizons: Sequence[int]) -> list[int]:
    """Return the decoder step of each horizon: that of its last bar, and for each in sessions of minutes a step after.

    Examples
    --------
    >>> decoder_steps((1, 5)), decoder_steps((1, 4, 1_000, 5_000))
    ([0, 4], [0, 3, 4, 5])
    """
    steps: list[int] = []
    for horizon in horizons:
        steps.append(horizon - 1 if horizon < SESSION_OF_MINUTES else steps[-1] + 1 if steps else 0)
    return steps
