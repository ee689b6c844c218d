"""Progress of a run on a terminal: one line per step, with what it made, skipped or refused, and what is left.

On a terminal a bar below the lines shows how many steps are done and about how long the others take; in a pipe each
line of a step says so.
"""

import logging
import sys
import time
from datetime import timedelta
from typing import Any

import dagster as dg
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from dagster_project.execution.expected import FILE, ExpectedTimes
from dagster_project.plurals import counted
from dagster_project.reports import ROWS, ROWS_OF_TABLE, warnings_in
from lake.settings import settings

SAID = ("evaluations", "served_models")
"""Assets whose lines in the log have said their warnings."""
OF_TABLES = "_expectations_hold"
"""Ends the names of steps that check a table: one line says that all its checks passed, one each which did not."""
QUIET = (OF_TABLES, "few_rows_refused", "up_to_date")
"""Steps that get a line when they are done, and none when they begin."""
FAILED_CHECKS = "DagsterAssetCheckFailedError"
"""Name of what Dagster raises after blocking checks failed; it names the checks and none of their findings."""
NOT_EXECUTED = "Dependencies for step "
"""Begins what Dagster says of each step downstream of a failed one; the error of the run says so once for all."""


class _ProgressHandler(logging.Handler):
    """Turns the events of a run into lines for a person; partitions of one step make one line."""

    def __init__(self, console: Console, times: ExpectedTimes) -> None:
        super().__init__()
        self.console = console
        self.times = times
        self.started: dict[str, float] = {}
        self.made: dict[str, dict[str, dict[str, Any]]] = {}
        self.passed: dict[str, str] = {}
        self.bar = Progress(
            TextColumn("  steps"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self.task = self.bar.add_task("steps", total=times.total, left=self._left())

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", None) or {}
        event, step = meta.get("dagster_event"), meta.get("step_key") or ""
        if event is None:
            if record.levelno >= logging.INFO and step:
                message = meta.get("orig_message") or record.getMessage()
                if message.startswith(NOT_EXECUTED):
                    return
                self.console.print(f"    [dim]{message}[/dim]", highlight=False)
            return
        handle = getattr(self, f"_{event.event_type_value.lower()}", None)
        if handle:
            handle(step, event)

    def close(self) -> None:
        self._stop()
        super().close()

    def _stop(self) -> None:
        if self.bar.live.is_started:  # rich prints an empty line for one that is not, even to a file that is closed
            self.bar.stop()

    def _pipeline_start(self, _step: str, _event: Any) -> None:
        if self.console.is_terminal:
            self.bar.start()

    def _pipeline_success(self, _step: str, _event: Any) -> None:
        self.times.keep()
        self._stop()

    def _pipeline_failure(self, _step: str, _event: Any) -> None:
        self._stop()

    _pipeline_canceled = _pipeline_failure

    def _step_start(self, step: str, _event: Any) -> None:
        self.started[step], self.made[step] = time.perf_counter(), {}
        if not step.endswith(QUIET):
            left = "" if self.console.is_terminal else f" [dim]{self.times.done + 1} of {self._left()}[/dim]"
            self.console.print(f"  [bold]{step}[/bold] ...{left}", highlight=False)

    def _asset_materialization(self, step: str, event: Any) -> None:
        made = event.event_specific_data.materialization
        self.made[step][made.asset_key.to_user_string()] = {name: value.value for name, value in made.metadata.items()}

    def _step_success(self, step: str, _event: Any) -> None:
        seconds = time.perf_counter() - self.started[step]
        self.times.note(step, seconds)
        self.bar.update(self.task, completed=self.times.done, left=self._left())
        if step in self.passed:
            self._say_passed(step.removesuffix(OF_TABLES), OF_TABLES, self.passed.pop(step))
        for asset, metadata in self.made[step].items():
            self.console.print(
                f"    [green]✓[/green] {asset}: {_outcome(metadata)} [dim]{seconds:.1f} s[/dim]", highlight=False
            )
            for warning in () if asset in SAID else warnings_in(metadata):
                self.console.print(f"      [yellow]![/yellow] {escape(warning)}", highlight=False)

    def _asset_check_evaluation(self, step: str, event: Any) -> None:
        check = event.event_specific_data
        asset, name, said = check.asset_key.to_user_string(), check.check_name, check.description or ""
        if not check.passed:
            reason = f": {escape(said)}" if said else ""
            sign = "[yellow]![/yellow]" if check.severity.value == "WARN" else "[red]✗ failed:[/red]"
            self.console.print(f"    {sign} {asset}, {_words(name)}{reason}", highlight=False)
        elif step.endswith(OF_TABLES):
            self.passed[step] = said
        else:
            self._say_passed(asset, name, said)

    def _say_passed(self, asset: str, check: str, said: str) -> None:
        scope = f" [dim]({escape(said)})[/dim]" if said else ""
        self.console.print(f"    [green]✓[/green] {asset}: {_words(check)}{scope}", highlight=False)

    def _step_failure(self, step: str, event: Any) -> None:
        source = event.event_specific_data.error_source
        if source is not None and source.value == "INTERRUPT":
            return  # Ctrl-C: the verb says what goes on from here
        error = event.event_specific_data.error
        if error is not None and error.cls_name == FAILED_CHECKS:
            return  # the line of the check said which rows fail it
        while error is not None and error.cause is not None:
            error = error.cause
        message = error.message.strip() if error is not None else "no reason given"
        self.console.print(f"    [red]✗ {step}[/red] {message}", highlight=False)

    def _left(self) -> str:
        if self.times.is_known:
            about = f"about {timedelta(seconds=round(self.times.left))} left"
        else:
            about = "time left not known: no run was timed yet"
        if self.console.is_terminal:
            return about
        return counted(self.times.total, "step") + (f", {about}" if self.times.is_known else "")


def _words(check: str) -> str:
    return check.strip("_").replace("_", " ")


def _outcome(metadata: dict[str, Any]) -> str:
    if metadata.get("skipped"):
        return f"nothing to do, {metadata.get('reason', 'nothing new')}"
    version = metadata.get("table_version")
    rows = metadata.get(ROWS, metadata.get(ROWS_OF_TABLE))
    parts = ["made" if rows is None else counted(rows, "row")]
    if metadata.get("rows_added"):
        parts.append(f"{metadata['rows_added']:,} new")
    if version is not None:
        parts.append(f"version {version}")
    return ", ".join(parts)


@dg.logger(config_schema={})
def progress_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """Show the progress of a run on standard output."""
    logger = logging.getLogger("quantlake.progress")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    steps = [] if context.job_def is None else [node.name for node in context.job_def.nodes]
    for handler in logger.handlers:
        handler.close()
    times = ExpectedTimes(settings().dagster / FILE, steps)
    logger.handlers = [_ProgressHandler(Console(file=sys.stdout, soft_wrap=True), times)]
    return logger
