"""The one LightningModule: it trains any network. Import it only where one is trained: Lightning is slow to import."""

import math
from collections.abc import Callable

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from training.fit.losses import pinball_loss
from training.models import Variation, base, variation_in_units

Batch = tuple[Tensor, Tensor]
NOTHING = Variation((), (), ())


class ForecastModule(LightningModule):
    """A network with its loss and its optimiser.

    The loss is the pinball loss of returns in units of sigma, the return's expected size from the window's own
    volatility. Pinball loss scales with its arguments, so this is the loss of plain returns with weight 1 / sigma: the
    quantiles it asks for are the same, and a calm symbol's session counts as much as a wild one's.

    Parameters
    ----------
    network
        The network to train, in place.
    learning_rate, weight_decay
        Of AdamW (Loshchilov and Hutter 2019).
    """

    def __init__(self, network: base.ReturnForecaster, *, learning_rate: float, weight_decay: float) -> None:
        super().__init__()
        self.network = network
        self.learning_rate, self.weight_decay = learning_rate, weight_decay
        self.forecasts: list[Tensor] = []
        """What was forecast for the validation windows of this epoch, in units of sigma."""

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Return the loss of one batch."""
        return self._loss(batch, self.network.standardised(batch[0]))

    def validation_step(self, batch: Batch, _: int) -> None:
        """Add one batch to the validation loss of the epoch."""
        z = self.network.standardised(batch[0])
        self.forecasts.append(z.cpu())
        known = int((~torch.isnan(batch[1])).sum())
        self.log("valid_loss", self._loss(batch, z), on_epoch=True, batch_size=known)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW over every parameter."""
        return torch.optim.AdamW(self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay)

    def _loss(self, batch: Batch, z: Tensor) -> Tensor:
        x, y = batch  # [batch, session, 2 * feature], [batch, horizon]
        sigma = self.network.sigma(self.network.split(x))  # [batch, horizon]
        return pinball_loss(z, y / sigma, self.network.outputs.quantiles)


class KeepBest(Callback):
    """Remember the weights of the best epoch, and tell who watches how each epoch went.

    The best epoch is that with the lowest validation loss among those whose forecasts vary. A network starts as the
    same for every window; an epoch after which it still is has learnt nothing, and counts only where every one is so.

    Lightning's own checkpoints are pickles of a whole trainer; a state of tensors is all that is needed here.

    Parameters
    ----------
    on_epoch
        Called after each epoch with its number, from 0, and its validation loss; it may raise to stop the training.
    """

    def __init__(self, on_epoch: Callable[[int, float], None]) -> None:
        self.on_epoch = on_epoch
        self.losses: list[float] = []
        self.best_epoch = 0
        self.variation = NOTHING
        self._worth = (True, math.inf)
        self.best: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: Trainer, module: LightningModule) -> None:
        """Compare the epoch that just ended with the best so far."""
        loss = float(trainer.callback_metrics["valid_loss"])
        variation = variation_in_units(torch.cat(module.forecasts).numpy())
        worth = variation.is_constant, loss
        module.forecasts.clear()
        if math.isfinite(loss) and worth < self._worth:
            self._worth, self.best_epoch, self.variation = worth, len(self.losses), variation
            self.best = {name: value.detach().cpu().clone() for name, value in module.network.state_dict().items()}
        self.losses.append(loss)
        self.on_epoch(len(self.losses) - 1, loss)
