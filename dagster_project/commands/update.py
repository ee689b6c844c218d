"""`quantlake update`: one more session, stage by stage, of the user's lake or of a generated market."""

import shutil
import time
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.results import DONE, NOTHING_TO_DO
from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    compile_missing_kernels,
    console,
    counting_bar,
    fixed,
    is_for_program,
    progress_on_stderr,
    require_lake,
    taking_turn,
    with_bar,
)
from dagster_project.plurals import counted
from lake.errors import QuantlakeError
from lake.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from dagster_project.runs import Stage


def update(
    symbols: Annotated[
        int,
        typer.Option(min=0, max=20_000, help="Measure on a generated market of this many symbols, in a scratch home."),
    ] = 0,
    sessions: Annotated[
        int, typer.Option(min=2, max=250, help="Sessions to update the generated market by; the first is cold.")
    ] = 6,
    history: Annotated[
        int, typer.Option(min=260, max=3_500, help="Sessions of history of the generated market.")
    ] = 300,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Bring new bars to features, forecasts, Redis and Delta, and show how long each stage took."""
    out = console(soft_wrap=True)
    with progress_on_stderr(when=as_json or as_csv):
        if symbols:
            document, table = _generated(symbols, sessions, history, out)
        else:
            with taking_turn("update"):
                document, table = _users(out, with_tables=as_json)
    is_for_program(document, table, as_json=as_json, as_csv=as_csv)


def _users(out: "Console", *, with_tables: bool) -> tuple[dict[str, Any], DataTable]:
    """Update the user's lake, told stage by stage, and return what was done as values, and the table of its stages.

    Parameters
    ----------
    with_tables
        Whether the values hold a report of every table, which is read anew for it.
    """
    from dagster_project.commands import summaries
    from dagster_project.runs import count_stages, seconds_together, update, users_platform
    from feature_repo.online.redis_server import running_redis

    require_lake(settings())
    platform = users_platform(settings())
    compile_missing_kernels(out, "dim")
    with running_redis(settings()), counting_bar("stages", count_stages()) as count:

        def show(stage: "Stage") -> None:
            _show(stage, out)
            count()

        try:
            stages = update(platform, show)
        except QuantlakeError:
            again = f"`{settings().declared_market.command('update')}` goes on from there once the cause is gone."
            out.print(f"  [red]The next stage failed[/red], and nothing after it was made. {again}", highlight=False)
            raise
    now, seconds = platform.clock.now(), seconds_together(stages)
    is_done = not all(stage.is_skipped for stage in stages)
    if is_done:
        out.print(f"\nUp to {now:%Y-%m-%d} in {seconds:.1f} s, {settings().home}")
    else:
        out.print(f"\nNothing was left to do up to {now:%Y-%m-%d}, in {seconds:.1f} s, {settings().home}")
    document: dict[str, Any] = {
        "command": "update",
        "market": settings().declared_market.name,
        "outcome": DONE if is_done else NOTHING_TO_DO,
        "now": now,
        "seconds": round(seconds, 3),
    }
    table = stage_table(stages)
    document["stages"] = table.records()
    if with_tables:
        document["tables"] = summaries.tables(settings()).records()
    return document, table


def stage_table(stages: "Sequence[Stage]") -> DataTable:
    """Return a line for each stage: new rows, seconds, and why there was nothing to do."""
    columns = ("stage", "rows_added", "seconds", "is_skipped", ShownColumn("reason", wraps=True))
    rows = ((each.name, each.added, each.seconds, each.is_skipped, each.reason or None) for each in stages)
    return DataTable.of_tuples("", columns, rows)


def _show(stage: "Stage", out: "Console") -> None:
    outcome = f"nothing to do, {stage.reason}" if stage.is_skipped else f"{stage.added:,} new"
    out.print(f"  {stage.name}: {outcome} [dim]{stage.seconds:.2f} s[/dim]", highlight=False)


def _generated(symbols: int, sessions: int, history: int, out: "Console") -> tuple[dict[str, Any], DataTable]:
    """Update a generated market, and return what was measured as values, and the table of its stages."""
    from dagster_project.runs import generated_platform, scratch_settings, update_each_session
    from feature_repo.online.redis_server import running_redis

    home = settings().home / "generated"
    shutil.rmtree(home, ignore_errors=True)
    scratch = scratch_settings(home)
    out.print(
        f"Making a market of {counted(symbols, 'symbol')} over {counted(history, 'session')} in [bold]{home}[/bold] ..."
    )
    compile_missing_kernels(out, "dim")
    started = time.perf_counter()
    with running_redis(scratch):
        platform = generated_platform(
            scratch, symbols, lambda line: out.print(f"  [dim]{line}[/dim]", highlight=False), history=history
        )
        out.print(f"  Made in {time.perf_counter() - started:.0f} s. Now {sessions} sessions close.\n")
        runs = list(with_bar(update_each_session(platform, sessions), "sessions", total=sessions))
    table = timings(runs)
    out.print(table)
    out.print(f"Everything is in {home}. Delete it when you no longer need it.")
    asked = {"symbols": symbols, "sessions": sessions, "history": history, "home": str(home)}
    return {"command": "update", "outcome": DONE} | asked | {"stages": table.records()}, table


def timings(runs: "Sequence[Sequence[Stage]]") -> DataTable:
    """Seconds of each stage: of the first update, and the median of the later ones."""
    from dagster_project.runs import median_seconds, seconds_together, seconds_until_served

    warm = median_seconds(runs[1:])
    lines: list[tuple[object, ...]] = [
        (first.name, last.added, first.seconds, warm[first.name]) for first, last in zip(runs[0], runs[-1], strict=True)
    ]
    lines += [
        (name, None, seconds(runs[0]), median(map(seconds, runs[1:])))
        for name, seconds in (("until it is served", seconds_until_served), ("together", seconds_together))
    ]
    seconds_columns = (ShownColumn(f"{what} s", shown=fixed(3)) for what in ("cold", "warm"))
    title = f"One session, {len(runs) - 1} warm updates"
    return DataTable.of_tuples(title, ("stage", "rows", *seconds_columns), lines)
