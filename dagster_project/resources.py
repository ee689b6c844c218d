"""What every asset is handed: the lake, the settings, the market's clock and the experiment."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from lake.clock import ReplayClock
from lake.settings import Settings, settings
from lake.store import Lake
from lake.turns import turn

if TYPE_CHECKING:
    from training.config import Experiment


class Platform(dg.ConfigurableResource):
    """The parts of the platform, made from the environment when a run starts."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Platform", None, None]:
        """Let a run wait for the job that is at work in this home; sensors and schedules look without waiting."""
        if context.run is None:
            yield self
            return
        say = context.log.info if context.log is not None else print
        with turn(self.settings.home, f"run {context.run.job_name}", say):
            yield self

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
