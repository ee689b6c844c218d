"""The verb that makes stored forecasts again and compares them with what is stored."""

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dagster_project.commands.console import console as console_of

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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for a program instead of tables.")] = False,
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
    if as_json:
        console.print_json(json.dumps([_plain(one) for one in found], default=str))
    elif prediction_id is not None:
        _show_one(console, found[0])
    else:
        _show_all(console, found, time.perf_counter() - started)
    if any(one.verdict == "differs" for one in found):
        raise typer.Exit(1)


def _instant(day: datetime | None) -> datetime | None:
    return None if day is None else day.replace(tzinfo=UTC)


def _plain(one: "Replayed") -> dict[str, Any]:
    return asdict(one) | {"verdict": one.verdict}


def _show_one(console: Console, one: "Replayed") -> None:
    console.print(f"{one.kind} forecast of {one.symbol} as of {one.as_of:%Y-%m-%d}: {one.verdict}", highlight=False)
    console.print(MEANS[one.verdict].capitalize() + ".", highlight=False)
    if one.compared:
        console.print(f"Compared: {', '.join(one.compared)}.", highlight=False)
    if one.difference:
        console.print(f"Largest difference {one.difference:.2e}, allowed {one.tolerance:.0e}.", highlight=False)
    for finding in one.findings:
        console.print(f"- {finding}", markup=False, highlight=False, soft_wrap=True)
    for unknown in one.unknown:
        console.print(f"- not known: {unknown}", markup=False, highlight=False, soft_wrap=True)


def _show_all(console: Console, found: "Sequence[Replayed]", seconds: float) -> None:
    from serving.replay import counts

    table = Table(title=f"{len(found):,} forecasts made again", title_justify="left", show_edge=False, header_style="")
    for column in ("", "forecasts", "meaning"):
        table.add_column(column)
    for verdict, count in counts(found).items():
        if count:
            table.add_row(verdict, f"{count:,}", MEANS[verdict])
    console.print(table)
    differing = [one for one in found if one.verdict == "differs"]
    said: dict[str, int] = {}
    for one in differing:
        for finding in one.faults:
            said[str(finding)] = said.get(str(finding), 0) + 1
    for sentence, times in sorted(said.items(), key=lambda item: -item[1])[:SHOWN]:
        console.print(f"- {sentence} ({times:,} forecasts)", markup=False, highlight=False, soft_wrap=True)
    if len(said) > SHOWN:
        console.print(f"... and {len(said) - SHOWN} more; --json gives all of them.", highlight=False)
    first = differing[0].forecast_id if differing else ""
    advice = f" quantlake replay {first} shows one of them." if differing else ""
    console.print(f"{len(differing):,} of {len(found):,} differ, {seconds:.1f} s.{advice}", highlight=False)
