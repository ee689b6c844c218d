"""`quantlake update`: one more session, stage by stage, of the user's lake or of a generated market."""

import shutil
import time
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from dagster_project.commands.shell import (
    DataTable,
    ShownColumn,
    compile_missing_kernels,
    console,
    counting_bar,
    fixed,
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

GO_ON = "`quantlake update` goes on from there once the cause is gone."


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
) -> None:
    """Bring new bars to features, forecasts, Redis and Delta, and show how long each stage took."""
    if symbols:
        _generated(symbols, sessions, history, console(soft_wrap=True))
        return
    with taking_turn("update"):
        _users(console(soft_wrap=True))


def _users(out: "Console") -> None:
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
            out.print(f"  [red]The next stage failed[/red], and nothing after it was made. {GO_ON}", highlight=False)
            raise
    now, seconds = platform.clock.now(), seconds_together(stages)
    if all(stage.is_skipped for stage in stages):
        out.print(f"\nNothing was left to do up to {now:%Y-%m-%d}, in {seconds:.1f} s, {settings().home}")
    else:
        out.print(f"\nUp to {now:%Y-%m-%d} in {seconds:.1f} s, {settings().home}")


def _show(stage: "Stage", out: "Console") -> None:
    outcome = f"nothing to do, {stage.reason}" if stage.is_skipped else f"{stage.added:,} new"
    out.print(f"  {stage.name}: {outcome} [dim]{stage.seconds:.2f} s[/dim]", highlight=False)


def _generated(symbols: int, sessions: int, history: int, out: "Console") -> None:
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
    out.print(timings(runs))
    out.print(f"Everything is in {home}. Delete it when you no longer need it.")


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
