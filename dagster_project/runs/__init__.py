"""Runs of a named selection of the asset graph in this process.

`run_selection` runs one in the Dagster home and shows its progress, `made_by` says what was new in it; `prepare_home`
makes that home. `update` runs the selection ``update`` and times its stages, over a `users_platform` or a
`generated_platform`, and `count_stages` says how many these are; `update_each_session` does so session after session.
`seconds_until_served`, `seconds_together` and `median_seconds` sum up.
`WORKSPACE` is the file that says which code location there is.
"""

from dagster_project.execution import Stage
from dagster_project.runs.dagster_home import prepare_home
from dagster_project.runs.generated_market import (
    SAMPLE_MODELS,
    generated_platform,
    scratch_settings,
    update_each_session,
)
from dagster_project.runs.in_process import RunFailedError, made_by, run_selection
from dagster_project.runs.origin import WORKSPACE
from dagster_project.runs.updates import (
    count_stages,
    median_seconds,
    seconds_together,
    seconds_until_served,
    update,
    users_platform,
)

__all__ = [
    "SAMPLE_MODELS",
    "WORKSPACE",
    "RunFailedError",
    "Stage",
    "count_stages",
    "generated_platform",
    "made_by",
    "median_seconds",
    "prepare_home",
    "run_selection",
    "scratch_settings",
    "seconds_together",
    "seconds_until_served",
    "update",
    "update_each_session",
    "users_platform",
]
