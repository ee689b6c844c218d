"""Runs a selection of the asset graph in this process over given resources, each stage timed."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.execution import Stage, listening
from dagster_project.partitions import changed_years

if TYPE_CHECKING:
    from dagster_project.resources import GivenPlatform
    from dagster_project.selections import NamedSelection


def run_timed(
    selection: "NamedSelection",
    platform: "GivenPlatform",
    on_stage: Callable[[Stage], object] = lambda _: None,
    configuration: Mapping[str, Any] | None = None,
) -> list[Stage]:
    """Materialise a selection of the asset graph, for whatever changed in any year, and return its stages.

    The events of the run are kept in memory: writing them to the Dagster home would triple what Dagster takes, and most
    stages of an update are shorter than that.

    Parameters
    ----------
    platform
        The parts that the assets are handed.
    on_stage
        Is given each stage as soon as it is done.
    configuration
        Of single assets, as Dagster's ``ops``.

    Raises
    ------
    QuantlakeError
        The error of the first stage that failed; no later stage runs.
    """
    from dagster_project.definitions import defs

    stages: list[Stage] = []

    def note(stage: Stage) -> None:
        stages.append(stage)
        on_stage(stage)

    job = defs.resolve_job_def(selection.name)
    with dg.DagsterInstance.ephemeral() as instance, listening(note):
        job.execute_in_process(
            instance=instance,
            tags=changed_years(platform.clock.now(), first=platform.lake.market.first_year),
            resources={"platform": dg.ResourceDefinition.hardcoded_resource(platform)},
            run_config={"loggers": {"stages": {}}, "ops": dict(configuration or {})},
        )
    return stages
