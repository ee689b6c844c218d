"""Artefact addresses of the local tracking store, kept below the home: MLflow writes them absolute.

A home that was moved or copied would otherwise read, and write, the artefacts of the home it came from.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from lake.settings import Settings

FOLDER = "artifacts"
"""Folder of the artefacts, beside the database."""
DEFAULT_EXPERIMENT = 0
"""Made by MLflow itself, with its artefacts below whatever folder the process happened to run in."""
WORKFLOW = "workflowType=machine_learning"
"""Opens the pages of model training; without it the web UI starts with those for language models."""
BUSY_SECONDS = 60.0
PROBE = "SELECT DISTINCT artifact_location FROM experiments"
DEFAULT = "SELECT artifact_location FROM experiments WHERE experiment_id = ?"


def artifact_root(configured: "Settings") -> str:
    """Return the URI of the folder that the artefacts of this home lie in."""
    return (configured.mlflow.absolute() / FOLDER).as_uri()


def runs_page(configured: "Settings", experiment: str) -> str:
    """Return where the web UI shows the runs of an experiment, as the part of the address behind ``#``.

    That of all experiments where there is none of the name yet, and for a tracking server, which is not asked.
    """
    database = configured.mlflow / "mlflow.db"
    if configured.mlflow_tracking_uri is None and database.exists():
        with closing(sqlite3.connect(database, timeout=BUSY_SECONDS)) as connection:
            asked = "SELECT experiment_id FROM experiments WHERE name = ?"
            found = connection.execute(asked, (experiment,)).fetchone() if _has_experiments(connection) else None
        if found:
            return f"/experiments/{found[0]}/runs?{WORKFLOW}"
    return "/experiments"


def localize(configured: "Settings") -> int:
    """Point every artefact address of the local store that lay below another home's `mlflow` folder at this home's.

    All of it is one transaction, so a process killed meanwhile leaves the old addresses and the next call does it
    anew. Addresses elsewhere, e.g. on an object store, stay; so does a tracking server, which is never opened.

    Returns
    -------
    int
        How many values were changed; 0 when the home has not moved, and when there is no local store yet.
    """
    database = configured.mlflow / "mlflow.db"
    if configured.mlflow_tracking_uri is not None or not database.exists():
        return 0
    root = artifact_root(configured)
    with closing(sqlite3.connect(database, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
        if not _has_experiments(connection) or not _stale(connection, root):
            return 0
        connection.execute("BEGIN IMMEDIATE")
        changed = 0
        for old, new in _stale(connection, root).items():  # another process may have been quicker
            changed += sum(_move(connection, table, column, old, new) for table, column in _texts(connection))
        connection.execute("COMMIT")
    return changed


def _has_experiments(connection: sqlite3.Connection) -> bool:
    """Whether MLflow has made its tables; the process that makes them may be at it."""
    return connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'experiments'").fetchone() is not None


def _stale(connection: sqlite3.Connection, root: str) -> Mapping[str, str]:
    """Old root of addresses to its place in this home, as URI and as path."""
    locations = [str(row[0]) for row in connection.execute(PROBE) if row[0]]
    roots = {location for location in map(_root_of, locations) if location is not None and location != root}
    moved = dict.fromkeys(roots, root) | {_path(old): _path(root) for old in roots}
    found = connection.execute(DEFAULT, (DEFAULT_EXPERIMENT,)).fetchone()
    if found and _is_stray(str(found[0])):
        moved[str(found[0])] = f"{root}/{DEFAULT_EXPERIMENT}"
    return moved


def _root_of(location: str) -> str | None:
    """Artefact root of a home that an experiment's location lies in; None for one that is elsewhere."""
    parts = urlsplit(location)
    if parts.scheme != "file":
        return None
    folder = Path(unquote(parts.path))
    for candidate in (folder, folder.parent):  # ours have the root itself, those of `mlflow server` their number below
        if candidate.name == FOLDER and candidate.parent.name == "mlflow":
            return candidate.as_uri()
    return None


def _is_stray(location: str) -> bool:
    """Whether MLflow's own experiment writes into a folder `mlruns` of some working directory."""
    parts = urlsplit(location)
    return parts.scheme in {"", "file"} and Path(unquote(parts.path)).parent.name == "mlruns"


def _texts(connection: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Every column of every table that may hold a text: which of them hold addresses changes with MLflow's version."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    for (table,) in tables.fetchall():
        for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")').fetchall():
            if any(text in kind.upper() for text in ("CHAR", "TEXT", "CLOB")):
                yield table, column


def _move(connection: sqlite3.Connection, table: str, column: str, old: str, new: str) -> int:
    """Replace the head of every value that is the old root or lies below it."""
    done = connection.execute(
        f'UPDATE "{table}" SET "{column}" = ? || substr("{column}", ?) '  # noqa: S608 - names from the schema itself
        f'WHERE "{column}" = ? OR substr("{column}", 1, ?) = ?',
        (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
    )
    return done.rowcount


def _path(uri: str) -> str:
    return unquote(urlsplit(uri).path)
