"""`quantlake replay`: stored forecasts computed again and compared."""

import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from dagster_project.commands.shell import AsCsv, AsJson, DataTable, ShownColumn, is_for_program
from dagster_project.commands.shell import console as console_of
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from serving.replay import Replayed

SHOWN = 20
MEANS = {
    "equal": "the same to the last bit",
    "close": "within what another engine or processor may make of it",
    "differs": "not what is stored, or something it rests on was altered",
    "unknown": "made before there were receipts, so not everything is known",
}

PredictionId = Annotated[str | None, typer.Argument(help="Id of one stored forecast, as in its answer.")]
Since = Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Only forecasts as of this day or later.")]


def replay(
    prediction_id: PredictionId = None,
    *,
    every: Annotated[bool, typer.Option("--all", help="Every stored forecast.")] = False,
    since: Since = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Make stored forecasts again from the data as it stood and compare; the exit code is 1 if one differs."""
    from lake.errors import ConfigError, UnknownNameError
    from lake.settings import settings
    from lake.store import Lake
    from serving.replay import replay as replay_stored

    if (prediction_id is None) == (not every):
        raise ConfigError("Name one forecast, or ask for every one: quantlake replay ID, or quantlake replay --all.")
    configured = settings()
    ids = None if prediction_id is None else [prediction_id]
    started = time.perf_counter()
    found = replay_stored(Lake.open(configured), configured, ids, since=_instant(since))
    if prediction_id is not None and not found:
        raise UnknownNameError("prediction", prediction_id, [])
    console = console_of()
    values = [_plain(replayed) for replayed in found]
    table = DataTable.of_records(values, ("forecast_id",))
    if is_for_program(values, table, as_json=as_json, as_csv=as_csv):
        pass
    elif prediction_id is not None:
        _show_replayed(console, found[0])
    else:
        _show_all(console, found, time.perf_counter() - started)
    if any(replayed.verdict == "differs" for replayed in found):
        raise typer.Exit(1)


def _instant(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=UTC)


def _plain(replayed: "Replayed") -> dict[str, Any]:
    return asdict(replayed) | {"verdict": replayed.verdict}


def _show_replayed(console: Console, replayed: "Replayed") -> None:
    console.print(
        f"{replayed.kind} forecast of {replayed.symbol} as of {replayed.as_of:%Y-%m-%d}: {replayed.verdict}",
        highlight=False,
    )
    console.print(MEANS[replayed.verdict].capitalize() + ".", highlight=False)
    if replayed.compared:
        console.print(f"Compared: {', '.join(replayed.compared)}.", highlight=False)
    if replayed.difference:
        console.print(
            f"Largest difference {replayed.difference:.2e}, allowed {replayed.tolerance:.0e}.", highlight=False
        )
    for finding in replayed.findings:
        console.print(f"- {finding}", markup=False, highlight=False, soft_wrap=True)
    for unknown in replayed.unknown:
        console.print(f"- not known: {unknown}", markup=False, highlight=False, soft_wrap=True)


def _show_all(console: Console, found: "Sequence[Replayed]", seconds: float) -> None:
    from serving.replay import counts

    lines = ((verdict, count, MEANS[verdict]) for verdict, count in counts(found).items() if count)
    columns = ("verdict", "forecasts", ShownColumn("meaning", wraps=True))
    console.print(DataTable.of_tuples(f"{counted(len(found), 'forecast')} made again", columns, lines))
    differing = [replayed for replayed in found if replayed.verdict == "differs"]
    faults: dict[str, int] = {}
    for replayed in differing:
        for finding in replayed.faults:
            faults[str(finding)] = faults.get(str(finding), 0) + 1
    for sentence, times in sorted(faults.items(), key=lambda item: -item[1])[:SHOWN]:
        console.print(f"- {sentence} ({counted(times, 'forecast')})", markup=False, highlight=False, soft_wrap=True)
    if len(faults) > SHOWN:
        console.print(f"... and {len(faults) - SHOWN} more; --json gives all of them.", highlight=False)
    first = differing[0].forecast_id if differing else ""
    advice = f" quantlake replay {first} shows one of them." if differing else ""
    console.print(f"{len(differing):,} of {len(found):,} differ, {seconds:.1f} s.{advice}", highlight=False)
