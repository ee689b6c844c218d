"""Runs the asset graph in this process, with progress on the terminal."""

import os
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.runs.dagster_home import prepare_home
from dagster_project.runs.origin import shown_on_the_timeline
from lake.errors import QuantlakeError

if TYPE_CHECKING:
    from dagster_project.selections import NamedSelection
    from lake.settings import Settings


class RunFailedError(QuantlakeError):
    """A run of the asset graph failed; its progress output named the step."""


def run_selection(selection: "NamedSelection", settings: "Settings", tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    """Materialise a selection of the asset graph and leave the run in the Dagster UI.

    Parameters
    ----------
    selection
        One of `dagster_project.selections`.
    tags
        Years to run for, see `dagster_project.partitions`.

    Raises
    ------
    RunFailedError
        If a step or a blocking check failed; nothing downstream of it was made.
    """
    os.environ.update(prepare_home(settings))
    from dagster_project.definitions import defs

    with dg.DagsterInstance.get() as instance, shown_on_the_timeline(instance, selection.name):
        result = defs.resolve_job_def(selection.name).execute_in_process(
            instance=instance, tags=tags, raise_on_error=False, run_config={"loggers": {"progress": {}}}
        )
    if not result.success:
        raise RunFailedError(
            f"The run '{selection.name}' failed at the step marked above; nothing downstream of it was changed. "
            f"See run {result.run_id} in the Dagster UI (`quantlake ui`)."
        )
    return result
