"""Runs the selection ``update`` of the asset graph for one more session, timed."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from dagster_project.resources import GivenPlatform
from dagster_project.runs.timed import run_timed
from dagster_project.selections import UPDATE

if TYPE_CHECKING:
    from dagster_project.execution import Stage
    from lake.settings import Settings

SERVED = ("forecasts", "online_store")
"""Stages after which a session is served; what follows is for research and training."""


def update(
    platform: GivenPlatform, on_stage: "Callable[[Stage], object]" = lambda _: None, *, forecast_sessions: int = 250
) -> "list[Stage]":
    """Bring new bars to validated rows, features, model inputs, forecasts, Redis and Delta.

    Each asset does only what is new, and one that is repeated does nothing: the next update finishes one that was cut
    off.

    Parameters
    ----------
    platform
        The lake, its source and clock, and the models in service.
    on_stage
        Is given each stage as soon as it is done.
    forecast_sessions
        How many sessions a model that never forecast is taken through; see `serving.backfill.walk_forward`.

    Returns
    -------
    list[Stage]
        First what is served, then the tables that only research and training read.

    Raises
    ------
    QuantlakeError
        The error of the first stage that failed; no later stage runs.
    """
    return run_timed(UPDATE, platform, on_stage, {"forecasts": {"config": {"sessions": forecast_sessions}}})


def count_stages() -> int:
    """Return how many stages `update` has: one for each step of its job."""
    from dagster_project.definitions import defs

    return len(defs.resolve_job_def(UPDATE.name).nodes)


def users_platform(settings: "Settings") -> GivenPlatform:
    """Return the platform of these settings, its models loaded.

    Raises
    ------
    ModelError
        If no model is in service, before anything is written.
    """
    from lake.sources import source_of
    from lake.store import Lake
    from serving.deployment import Champions

    champions = Champions(settings)
    champions.current()
    return GivenPlatform(settings, Lake.open(settings), settings.clock, source_of(settings), champions)


def seconds_until_served(run: "Sequence[Stage]") -> float:
    """Seconds from the start of a run until its session is served, what Dagster takes included."""
    return max(stage.ended for stage in run if stage.name in SERVED)


def seconds_together(run: "Sequence[Stage]") -> float:
    """Seconds from the start of a run to the end of its last stage, what Dagster takes included."""
    return run[-1].ended


def median_seconds(runs: "Sequence[Sequence[Stage]]") -> Mapping[str, float]:
    """Median seconds of each stage over some runs."""
    return {stage.name: median(run[place].seconds for run in runs) for place, stage in enumerate(runs[0])}
