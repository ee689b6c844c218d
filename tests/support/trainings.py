"""For tests: the weights of a model laid into a home, where its training would have left them."""

import shutil
from typing import TYPE_CHECKING

from training.fit import Fitted, save_fitted

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings
    from serving.engines import Bundle
    from training.models.base import ReturnForecaster

TRAINING = "f" * 16


def place_weights(settings: "Settings", bundle: "Bundle", network: "ReturnForecaster") -> "Path":
    """Lay down a network and the export that was made from it; returns the folder of the weights."""
    shutil.copytree(bundle.folder, settings.models / "exports" / TRAINING / bundle.name, dirs_exist_ok=True)
    folder = settings.home / "training" / TRAINING / "models" / bundle.name
    return save_fitted(Fitted(bundle.name, network, {}, seed=0), folder)
