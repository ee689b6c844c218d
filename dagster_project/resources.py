"""Resources of the assets: lake, settings, the market's clock and source, models, experiment."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from lake.clock import Clock
from lake.settings import Settings, settings
from lake.store import Lake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.sources import BarSource
    from serving.deployment import Champions, LoadedModels
    from training.experiments import Experiment


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
    def clock(self) -> Clock:
        """The market's now."""
        return self.settings.clock

    @property
    def source(self) -> "BarSource":
        """Where daily bars come from: what QUANTLAKE_SOURCE names, or else what the market declares."""
        from lake.sources import source_of

        return source_of(self.settings)

    def sources(self, only: str | None = None) -> "Sequence[BarSource]":
        """Return the sources of the market in the order of their priority, or one of them."""
        from lake.sources import sources_of

        return sources_of(self.settings, only)

    @property
    def models(self) -> "LoadedModels":
        """Champions and challengers, loaded."""
        from serving.deployment import Champions

        return Champions(self.settings).current()

    @property
    def experiment(self) -> "Experiment":
        """The experiment named by the settings, as it fits the market."""
        from training.experiments import experiment_of

        return experiment_of(self.settings, self.lake, self.clock)


@dataclass(frozen=True)
class GivenPlatform:
    """The same parts handed over as values, for a run in this process: a command, a benchmark, a test.

    The models stay loaded from one run to the next; they are exchanged when a promotion says so.
    """

    settings: Settings
    lake: Lake
    clock: Clock
    source: "BarSource"
    champions: "Champions"

    def sources(self, only: str | None = None) -> "Sequence[BarSource]":  # noqa: ARG002 - as of Platform
        """Return the source that was handed over."""
        return (self.source,)

    @property
    def models(self) -> "LoadedModels":
        """Champions and challengers, loaded."""
        return self.champions.current()

    @property
    def experiment(self) -> "Experiment":
        """The experiment named by the settings, as it fits the market."""
        from training.experiments import experiment_of

        return experiment_of(self.settings, self.lake, self.clock)
