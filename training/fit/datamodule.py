"""Windows as batches for Lightning. Import it only where a network is trained: Lightning takes seconds to import."""

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler, TensorDataset

from training.data import WindowSet

EVALUATION_WINDOWS = 256
"""Windows per batch where nothing is learnt; larger ones leave the processor's cache and are slower."""


class WindowData(LightningDataModule):
    """Two window sets as shuffled training batches and ordered validation batches.

    Each batch is cut from the arrays at once, because collecting it window by window would take longer than the
    gradient step.

    Parameters
    ----------
    train, valid
        Disjoint in time, purged by `training.data.walk_forward`; `valid` is None where nothing is validated.
    batch_windows
        Windows per gradient step.
    epoch_windows
        Windows drawn anew for each epoch, none of them twice; all of them by default.
    seed
        The same seed gives the same batches in the same order.
    """

    def __init__(
        self,
        train: WindowSet,
        valid: WindowSet | None,
        *,
        batch_windows: int,
        seed: int,
        epoch_windows: int | None = None,
    ) -> None:
        super().__init__()
        self.train, self.valid = _tensors(train), None if valid is None else _tensors(valid)
        self.batch_windows, self.seed = batch_windows, seed
        self.epoch_windows = min(epoch_windows or len(train), len(train))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Batches in an order that the seed decides, another one each epoch."""
        drawn = torch.Generator().manual_seed(self.seed)
        order = RandomSampler(self.train, num_samples=self.epoch_windows, generator=drawn)
        return _loader(self.train, order, self.batch_windows)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Batches in the order of the rows."""
        assert self.valid is not None  # never asked for where nothing is validated
        return _loader(self.valid, SequentialSampler(self.valid), EVALUATION_WINDOWS)


def _tensors(windows: WindowSet) -> TensorDataset:
    return TensorDataset(torch.from_numpy(windows.x), torch.from_numpy(windows.y))


def _loader(data: TensorDataset, order: Sampler[int], size: int) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(data, sampler=BatchSampler(order, size, drop_last=False), batch_size=None)
