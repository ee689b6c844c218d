"""What every asset is handed: the lake, the settings, the market's clock and the experiment."""

from typing import TYPE_CHECKING

import dagster as dg

from lake.clock import ReplayClock
from lake.settings import Settings, settings
from lake.store import Lake

if TYPE_CHECKING:
    from training.config import Experiment


class Platform(dg.ConfigurableResource):
    """The parts of the platform, made from the environment when a run starts."""

    @property
    def settings(self) -> Settings:
        """Settings of this process."""
        return settings()

    @property
    def lake(self) -> Lake:
        """The Delta tables."""
        return Lake.open(self.settings)

    @property
    def clock(self) -> ReplayClock:
        """The market's now."""
        return ReplayClock(self.settings.home / "clock.json")

    @property
    def experiment(self) -> "Experiment":
        """The experiment named by the settings."""
        from training.config import load

        return load(self.settings.experiment)
