"""Runs the asset graph in this process, with progress on the terminal."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagster_project.runs.dagster_home import instance_of_commands, prepare_home
from dagster_project.runs.origin import shown_on_the_timeline
from lake.errors import QuantlakeError

if TYPE_CHECKING:
    from dagster_project.selections import NamedSelection
    from lake.settings import Settings


class RunFailedError(QuantlakeError):
    """A run of the asset graph failed; its progress output named the step."""


def made_by(result: dg.ExecuteInProcessResult) -> dict[str, int]:
    """Return what a run made: new rows by asset, 0 for what has no rows; assets that had nothing to do are left out."""
    made: dict[str, int] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.materialization
        told: dict[str, Any] = {name: value.value for name, value in materialization.metadata.items()}
        if not told.get("skipped"):
            made[materialization.asset_key.to_user_string()] = int(told.get("rows_added") or 0)
    return made


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
    KeyboardInterrupt
        If Ctrl-C ended the run: Dagster, and libraries below it, turn it into a failed step.
    """
    os.environ.update(prepare_home(settings))
    from dagster_project.definitions import defs

    with (
        _noting_interrupts() as interrupts,
        instance_of_commands(settings) as instance,
        shown_on_the_timeline(instance, selection.name),
    ):
        result = defs.resolve_job_def(selection.name).execute_in_process(
            instance=instance, tags=tags, raise_on_error=False, run_config={"loggers": {"progress": {}}}
        )
    if not result.success and (interrupts or _is_interrupted(result)):
        raise KeyboardInterrupt
    if not result.success:
        raise RunFailedError(
            f"The run '{selection.name}' failed {_failed_checks(result) or 'at the step marked above'}; nothing "
            f"downstream of it was changed. See run {result.run_id} in the Dagster UI (`quantlake ui`)."
        )
    return result


def _failed_checks(result: dg.ExecuteInProcessResult) -> str:
    """Sentences of the blocking checks that failed, empty for none: of one in its own words, of several a list."""
    said = [
        f"{check.asset_key.to_user_string()}, {check.check_name.replace('_', ' ')}: {check.description or 'no reason'}"
        for check in result.get_asset_check_evaluations()
        if check.blocking and not check.passed and check.severity == dg.AssetCheckSeverity.ERROR
    ]
    return f"because a check failed. {' '.join(said)} The run ended there" if said else ""


@contextmanager
def _noting_interrupts() -> Iterator[list[int]]:
    """Give a list that every Ctrl-C of the block is added to, before what it did until now."""
    noted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield noted  # only the main thread may set what a signal does
        return
    before = signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        noted.append(number)
        if callable(before):
            before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether a step of a run was ended by Ctrl-C, as Dagster itself noted it."""
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    return any(failure.error_source is not None and failure.error_source.value == "INTERRUPT" for failure in failures)
