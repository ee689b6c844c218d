"""A recurrent network over the window: the smallest model that sees the order of the sessions."""

import torch
from torch import Tensor, nn

from training.models.base import ReturnForecaster, Window
from training.models.layers import QuantileHead
from training.models.scaler import FeatureScaler
from training.models.spec import InputSpec, OutputSpec


class LstmForecaster(ReturnForecaster):
    """LSTM over scaled values and flags; the last state answers for every horizon.

    Parameters
    ----------
    hidden
        Size of the state.
    layers
        LSTMs on top of each other.
    dropout
        Share of the last state that is dropped in training.
    """

    def __init__(
        self,
        inputs: InputSpec,
        outputs: OutputSpec,
        scaler: FeatureScaler | None = None,
        *,
        hidden: int = 32,
        layers: int = 1,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(inputs, outputs, scaler)
        self.hidden, self.layers, self.rate = hidden, layers, dropout
        self.lstm = nn.LSTM(inputs.width, hidden, num_layers=layers, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = QuantileHead(hidden, outputs, horizons=len(outputs.horizons))

    def heads(self, window: Window) -> Tensor:
        """Return z from the state after the last session."""
        states, _ = self.lstm(torch.cat([window.scaled, window.known], dim=-1))  # [batch, session, hidden]
        z: Tensor = self.head(self.dropout(states[:, -1]))
        return z

    def architecture(self) -> dict[str, int | float]:
        """Return the sizes it was made with."""
        return {"hidden": self.hidden, "layers": self.layers, "dropout": self.rate}
