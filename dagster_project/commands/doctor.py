"""`quantlake doctor`: examines everything under the home and names the next command for each damage."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    console,
    is_for_program,
    market_command,
    require_home,
    with_bar,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dagster_project.checks.health import Examined, HealthFinding
    from lake.errors import QuantlakeError

INDENT = "  "


def doctor(
    *,
    deep: Annotated[bool, typer.Option("--deep", help="Read every byte: hash data and model files.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    set_aside: Annotated[
        Path | None, typer.Option("--set-aside", help="Move this damaged file into .damaged under the home.")
    ] = None,
) -> None:
    """Examine everything under the home; each damage is shown with its file, its meaning and the next command.

    Tables, forecast log, registry, models, Redis snapshot, market clock, keys, Dagster's files, permissions.

    Changes nothing; --set-aside moves one file and deletes nothing. The exit code is 1 if something is wrong.
    """
    from dagster_project.checks.health import CHECKS, examine
    from dagster_project.checks.health import set_aside as move
    from lake.settings import settings

    configured = settings()
    require_home(configured)
    if set_aside is not None:
        _print_lines(
            [f"{set_aside} lies in {move(configured, set_aside)} now. Run `{market_command('doctor')}` again."]
        )
        return
    is_quiet = as_json or as_csv
    checks = CHECKS if is_quiet else with_bar(CHECKS, "checks", total=len(CHECKS))
    done = examine(configured, is_deep=deep, checks=checks)
    findings = [finding for examined in done for finding in examined.findings]
    values = [_plain(examined) for examined in done]
    flat = [{"check": each["check"], **finding} for each in values for finding in each["findings"]]
    columns = ("check", "kind", "path", "meaning", "remedy", "is_damage")
    if not is_for_program(values, DataTable.of("", columns, flat), as_json=as_json, as_csv=as_csv):
        _print_lines(line for finding in findings for line in _lines(finding, configured.home))
        _print_lines(_summary(done, findings, configured.home))
    if findings:
        raise typer.Exit(1)


def with_advice(error: "QuantlakeError") -> str:
    """The sentence of an error; one about a damaged file names the command that looks at all the others."""
    from lake.errors import DamagedFileError, DamagedTableError

    message = str(error)
    is_damage = isinstance(error, DamagedTableError | DamagedFileError) and "`quantlake doctor`" not in message
    return f"{message} `quantlake doctor` looks at everything else." if is_damage else message


def damage_behind(error: Exception) -> str | None:
    """A sentence in the place of a traceback, where something under the home is damaged; None where nothing is.

    A library that meets a damaged file raises an error of its own, which names neither the file nor the way out.
    """
    from dagster_project.checks.health import examine
    from lake.settings import settings

    try:
        found = [examined for done in examine(settings()) for examined in done.findings if examined.is_damage]
    except Exception:  # noqa: BLE001 - then the error itself is what there is to say
        return None
    if not found:
        return None
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    message = (str(error).splitlines() or [""])[0][:200]
    return f"{message}. Damaged: {found[0].path} ({found[0].kind}){more}. Run `quantlake doctor`: it names each remedy."


def _lines(finding: "HealthFinding", home: Path) -> "Iterable[str]":
    """A finding within the width of the terminal; path and command stay in one piece, so that they can be copied."""
    path = finding.path.relative_to(home) if home in finding.path.parents else finding.path
    yield str(path)
    text = f"{finding.kind}: {finding.meaning.rstrip('.')}."
    yield from textwrap.wrap(
        text,
        console().width,
        initial_indent=INDENT,
        subsequent_indent=INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield f"{INDENT}$ {finding.remedy}"
    yield ""


def _summary(done: "list[Examined]", findings: "list[HealthFinding]", home: Path) -> "Iterable[str]":
    seconds = sum(examined.seconds for examined in done)
    names = ", ".join(
        f"{examined.name} ({len(examined.findings)})" if examined.findings else examined.name for examined in done
    )
    yield from textwrap.wrap(f"Looked at {names}; {seconds:.1f} s.", console().width)
    if findings:
        what = "1 thing is" if len(findings) == 1 else f"{len(findings)} things are"
        yield f"{what} wrong in {home}."
    else:
        yield f"Everything in {home} is whole."


def _plain(examined: "Examined") -> dict[str, Any]:
    return {
        "check": examined.name,
        "seconds": round(examined.seconds, 3),
        "findings": [
            {
                "kind": finding.kind,
                "path": str(finding.path),
                "meaning": finding.meaning,
                "remedy": finding.remedy,
                "is_damage": finding.is_damage,
            }
            for finding in examined.findings
        ],
    }


def _print_lines(lines: "Iterable[str]") -> None:
    for line in lines:
        console(soft_wrap=True).print(line, markup=False, highlight=False)
