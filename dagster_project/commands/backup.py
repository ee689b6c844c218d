"""Commands of `quantlake backup`: create, list, verify, restore, prune."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    is_for_program,
    print_line,
    taking_turn,
)
from dagster_project.plurals import counted
from lake.market import market_of
from lake.settings import settings

if TYPE_CHECKING:
    from lake.care.backup import Listed, Manifest

app = typer.Typer(help="Back up a running platform, verify and restore.", no_args_is_help=True)
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
KIBI = 1024
MINUTE, HOUR, DAY = 60, 3_600, 86_400

To = Annotated[Path | None, typer.Option("--to", help="Folder of the backups; QUANTLAKE_BACKUPS when left out.")]
Where = Annotated[Path | None, typer.Option("--from", help="Folder of the backups; QUANTLAKE_BACKUPS when left out.")]
BackupId = Annotated[str | None, typer.Argument(help="Id as `quantlake backup list` shows it.")]


@app.command()
def create(
    *,
    to: To = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Afterwards keep only so many of this home's backups.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read and store every file again, unchanged ones too.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Back up this home as one consistent point while the service answers; jobs wait, or are waited for.

    A backup holds the API keys: its folder and files are for their owner alone.
    """
    from lake.care import backup as store
    from serving import backups
    from serving.audit import console as who

    root = backups.folder_of(settings(), to)
    with taking_turn("backup create"):
        started = datetime.now(UTC)
        made = backups.create(settings(), root, who=who(), full=full)
        seconds = (datetime.now(UTC) - started).total_seconds()
    gone, _ = store.prune(root, keep) if keep else ([], 0)
    own = next(entry.own_bytes for entry in store.listing(root)[0] if entry.backup.id == made.id)
    record = _plain(made) | {"own_bytes": own, "seconds": seconds, "pruned": gone}
    if is_for_program(record, DataTable.of_records([record]), as_json=as_json, as_csv=as_csv):
        return
    print_line(
        f"Backup {made.id}: {counted(len(made.files), 'file')}, {_size(made.size)}, {_size(own)} of it new, "
        f"in {seconds:.1f} s; "
        f"writers were held off for {made.point_seconds:.2f} s."
    )
    if gone:
        print_line(f"Deleted: {', '.join(gone)}.")
    print_line(f"It is in {root}, and holds the API keys. Prove it: quantlake backup verify {made.id}")


@app.command("list")
def list_backups(*, where: Where = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Show each backup: its age, what it takes on disk, own and shared, and what it holds."""
    from lake.care import backup as store
    from serving.backups import folder_of

    root = folder_of(settings(), where)
    listed, damaged = store.listing(root)
    values = [
        _plain(entry.backup) | {"own_bytes": entry.own_bytes, "shared_bytes": entry.shared_bytes} for entry in listed
    ]
    document = {"backups": values, "damaged": damaged}
    is_printed = is_for_program(document, _table(listed), as_json=as_json, as_csv=as_csv)
    if listed and not is_printed:
        console().print(_table(listed))
    elif not damaged and not is_printed:
        print_line(f"There is no backup in {root}. Make one: quantlake backup create --to {root}")
    for sentence in () if is_printed else damaged:
        print_line(sentence)
    if damaged:
        raise typer.Exit(1)


@app.command()
def verify(backup_id: BackupId = None, *, where: Where = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Read every file of one backup, or of all of them, again; exit code 1 and the file's name if one is damaged."""
    from lake.care import backup as store
    from serving.backups import folder_of

    root = folder_of(settings(), where)
    found, damaged = store.read_all(root) if backup_id is None else ([store.read(root, backup_id)], [])
    faults = [*damaged, *map(str, store.verify(root, found))]
    document = {"backups": [entry.id for entry in found], "faults": faults}
    table = DataTable.of("", ("fault",), ({"fault": fault} for fault in faults))
    if not is_for_program(document, table, as_json=as_json, as_csv=as_csv):
        for fault in faults:
            print_line(fault)
        files = len({digest for entry in found for digest in entry.contents})
        whole = f"Whole: {counted(files, 'file')} of {counted(len(found), 'backup')}."
        print_line(
            whole if not faults else f"{len(faults)} are not. `quantlake backup create --full` stores them again."
        )
    if faults:
        raise typer.Exit(1)


@app.command()
def restore(
    backup_id: BackupId = None,
    *,
    into: Annotated[Path, typer.Option("--into", help="Folder of the new home; it must not exist, or be empty.")],
    where: Where = None,
) -> None:
    """Lay a backup out as a new home, by default the newest; a damaged one is refused before anything is written."""
    from lake.care import backup as store
    from lake.errors import BackupError
    from serving import backups
    from serving.audit import console as who

    root = backups.folder_of(settings(), where)
    chosen = store.newest(root) if backup_id is None else store.read(root, backup_id)
    if chosen is None:
        raise BackupError(f"There is no backup in {root} that can be read. `quantlake backup list` says what there is.")
    target = into.expanduser().absolute()
    backups.restore(settings(), root, chosen, target, who=who())
    print_line(
        f"Backup {chosen.id} of {chosen.home} is in {target}: "
        f"{counted(len(chosen.files), 'file')}, {_size(chosen.size)}."
    )
    print_line("Next, in this order:")
    market = market_of(target)
    for step in ("doctor", "replay --all", "advance" if market.clock == "replay" else "run"):
        print_line(f"  QUANTLAKE_HOME={target} quantlake {step}")
    print_line(
        "The online store is empty until the last of them has filled it; until then answers come from the tables."
    )
    print_line(f"Two services must not answer for one home: stop the one on {chosen.home} first if it runs.")


@app.command()
def prune(
    *,
    keep: Annotated[int, typer.Option(min=1, help="How many backups of each home stay, the newest.")],
    where: Where = None,
) -> None:
    """Delete all but the newest backups, and the contents that no other one needs."""
    from lake.care import backup as store
    from serving.backups import folder_of

    root = folder_of(settings(), where)
    gone, freed = store.prune(root, keep)
    print_line(
        f"{counted(len(gone), 'backup')} deleted, {_size(freed)} freed."
        if gone or freed
        else "Nothing was left to delete."
    )


def _table(listed: "list[Listed]") -> DataTable:
    columns = (
        ShownColumn("id"),
        ShownColumn("created_at", "age", shown=_age),
        ShownColumn("own_bytes", "own", shown=_size),
        ShownColumn("shared_bytes", "shared", shown=_size, rank=2),
        ShownColumn("home", rank=3),
        ShownColumn("holds", wraps=True, rank=1),
    )
    rows = (
        {
            "id": entry.backup.id,
            "created_at": entry.backup.created_at,
            "own_bytes": entry.own_bytes,
            "shared_bytes": entry.shared_bytes,
            "home": entry.backup.home,
            "holds": _holds(entry.backup),
        }
        for entry in listed
    )
    return DataTable.of("Backups", columns, rows)


def _holds(made: "Manifest") -> str:
    """Tables, logs of forecasts, versions of models."""
    versions = {file.path.rpartition("/")[0] for file in made.files if file.path.startswith("models/")}
    models = len([entry for entry in versions if entry.count("/") == 2 and "/exports/" not in f"{entry}/"])  # noqa: PLR2004
    logs = sum(file.path.startswith("forecast_log") for file in made.files)
    return ", ".join(
        counted(count, noun)
        for count, noun in (
            (len(made.tables), "table"),
            (logs, "forecast log"),
            (models, "model version"),
            (len(made.files), "file"),
        )
    )


def _plain(made: "Manifest") -> dict[str, Any]:
    values = made.model_dump(mode="json", exclude={"files", "seal", "format"})
    return values | {"files": len(made.files), "bytes": made.size}


def _age(at: datetime) -> str:
    seconds = (datetime.now(UTC) - at).total_seconds()
    unit, name = next(((unit, name) for unit, name in ((DAY, "d"), (HOUR, "h")) if seconds >= unit), (MINUTE, "min"))
    return f"{seconds / unit:.0f} {name}"


def _size(number: float) -> str:
    for unit in UNITS:
        if number < KIBI or unit == UNITS[-1]:
            break
        number /= KIBI
    return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
