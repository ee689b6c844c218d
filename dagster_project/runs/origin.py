"""Origin of a run that a command started: the code location under which the Dagster UI shows it.

The timeline of the UI, and the page of a job, show the runs of a code location. `execute_in_process` gives its run
none, so runs of commands would be found in the list of runs only.
"""

import functools
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import yaml

if TYPE_CHECKING:
    from dagster._core.remote_origin import RemoteJobOrigin

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"
"""Where the UI reads which code location there is."""
REPOSITORY = "__repository__"
"""Name that Dagster gives to definitions that are not in a named repository."""


@contextmanager
def shown_on_the_timeline(instance: dg.DagsterInstance, job: str) -> Iterator[None]:
    """Let the runs that this instance creates meanwhile belong to the job of the code location in `workspace.yaml`."""
    create = instance.create_run_for_job
    of_origin = functools.partial(create, remote_job_origin=origin_of(job))
    instance.create_run_for_job = of_origin  # type: ignore[method-assign]  # execute_in_process takes no origin
    try:
        yield
    finally:
        instance.create_run_for_job = create  # type: ignore[method-assign]  # as it was


def origin_of(job: str) -> "RemoteJobOrigin":
    """Return the origin that the UI gives to a job.

    Examples
    --------
    >>> origin = origin_of("everything")
    >>> origin.job_name, origin.repository_origin.get_label()
    ('everything', '__repository__@quantlake')
    """
    from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin, RemoteRepositoryOrigin
    from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

    [declared] = yaml.safe_load(WORKSPACE.read_text(encoding="utf-8"))["load_from"]
    module = declared["python_module"]
    target = LoadableTargetOrigin(executable_path=sys.executable, module_name=module["module_name"])
    location = ManagedGrpcPythonEnvCodeLocationOrigin(target, location_name=module["location_name"])
    return RemoteRepositoryOrigin(location, REPOSITORY).get_job_origin(job)
