"""Everything about a period of the desk as files, with a manifest of their hashes, for whoever has to report."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from lake.disk import write_durably
from lake.errors import ConfigError, NotReadyError
from lake.tables import AUDIT, DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS, RISK_EVENTS, VOTES
from serving.desk.attribution import attribute
from serving.desk.draining import drain_desk
from serving.desk.session import journal_of, recorded_bars

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake

ExportFormat = Literal["csv", "parquet"]
EXPORTED = (DECISIONS, VOTES, ORDERS, FILLS, POSITIONS, EQUITY, RISK_EVENTS, AUDIT)
MANIFEST, ATTRIBUTION, TERMS = "manifest.json", "attribution.json", "accounts.json"


@dataclass(frozen=True)
class ExportedFile:
    """One file of an export.

    Parameters
    ----------
    name, rows
        Name in the folder, and its rows.
    digest
        SHA-256 of its bytes.
    table_version
        Delta version it was read from; None of a file that is no table.
    """

    name: str
    rows: int
    digest: str
    table_version: int | None = None


def export_desk(
    lake: "Lake", configured: "Settings", folder: Path, since: datetime, until: datetime, form: ExportFormat = "csv"
) -> list[ExportedFile]:
    """Write decisions, votes, orders, fills, positions, equity, risk events and audit rows of a period as files.

    Rows count by their event time: since an instant, and before another. Rows that still lie in the journal are drained
    first. The manifest has the SHA-256 of every file, so a changed file shows.

    Parameters
    ----------
    folder
        It is made; files of the same names are replaced.

    Returns
    -------
    list of ExportedFile
        Without the manifest, in which they stand.

    Raises
    ------
    NotReadyError
        If no account was ever opened.
    ConfigError
        If the period is empty, or the form is not known.
    """
    if until <= since:
        raise ConfigError(f"The period from {since} until {until} is empty; --since comes before --until.")
    journal = journal_of(configured)
    accounts = journal.accounts()
    if not accounts:
        raise NotReadyError("No account is open, so there is nothing to export. `quantlake desk start` opens one.")
    drain_desk(lake, journal)
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for spec in EXPORTED:
        within = pl.col("event_time").is_between(since, until, closed="left")
        rows = lake.read(spec, where=within) if lake.exists(spec) else spec.empty()
        rows = rows.sort("event_time", *(name for name in spec.key if name != "event_time"))
        path = folder / f"{spec.name}.{form}"
        if form == "csv":
            rows.write_csv(path)
        elif form == "parquet":
            rows.write_parquet(path)
        else:
            raise ConfigError(f"The format '{form}' is not known; there are csv and parquet.")
        version = lake.version(spec) if lake.exists(spec) else None
        files.append(ExportedFile(path.name, rows.height, _digest(path), version))
    earned = [attribute(journal, each, recorded_bars(lake, configured, each), until).to_dict() for each in accounts]
    for name, content in ((ATTRIBUTION, earned), (TERMS, [json.loads(each.to_json()) for each in accounts])):
        write_durably(folder / name, json.dumps(content, indent=1))
        files.append(ExportedFile(name, len(content), _digest(folder / name)))
    manifest = {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "market": lake.market.name,
        "files": {
            each.name: {"rows": each.rows, "sha256": each.digest, "table_version": each.table_version} for each in files
        },
    }
    write_durably(folder / MANIFEST, json.dumps(manifest, indent=1))
    return files


def altered_files(folder: Path) -> list[str]:
    """Return the files of an export that are not what its manifest says, by name; empty where all are.

    Raises
    ------
    NotReadyError
        If there is no manifest.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise NotReadyError(f"{folder} has no {MANIFEST}, so it is no export of the desk.")
    stated = json.loads(path.read_text(encoding="utf-8"))["files"]
    return [
        name
        for name, file in stated.items()
        if not (folder / name).exists() or _digest(folder / name) != file["sha256"]
    ]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
