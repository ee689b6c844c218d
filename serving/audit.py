"""Audit trail: actor, action, time and result. Rows are only added, and each holds the hash of the row before it.

A row holds the hash of the row before it, so an edited, deleted, inserted or reordered row breaks the chain at its
place. The newest row has nobody after it; its hash is kept in a small file beside the tables, written before the row
itself, so that a row whose writing was cut off is finished by the next one, and a deleted newest row is missed.
"""

import hashlib
import json
import os
import pwd
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import polars as pl

from lake.disk import file_lock, write_private
from lake.errors import ConflictError, DamagedTableError
from lake.tables import AUDIT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from lake.settings import Settings
    from lake.store import Lake

HEAD_FILE = ".audit_head.json"
ZEROS = "0" * 64
"""What the first row names as the row before it."""
HEAD_LOST = "audit.head"
CONFIGURATION = "configuration"
HASHED = tuple(name for name in AUDIT.names if name != "row_hash")

Row = dict[str, Any]


@dataclass(frozen=True)
class AuditFinding:
    """A place where the trail is not as it was written.

    Parameters
    ----------
    sequence
        Row it concerns.
    meaning
        What is wrong with it.
    """

    sequence: int
    meaning: str


@dataclass(frozen=True)
class _Head:
    """The newest row, and whether it is known to be in the table."""

    row: Row
    is_stored: bool


def record(
    lake: "Lake", *, who: str, what: str, result: str = "done", details: "Mapping[str, Any] | None" = None
) -> int:
    """Write one row to the trail; it is on disk when this returns.

    Parameters
    ----------
    who
        `console()`, a part of the platform, or `serving.api.Caller.who`: never the id of a key, because a row can
        never be deleted and a key's owner may ask for that.
    what
        Topic and verb, e.g. ``model.rollback``.
    result
        What came of it: ``done``, ``refused``, a status.
    details
        With what; plain values, no secrets, no ids of keys.

    Returns
    -------
    int
        Position of the row in the trail.

    Raises
    ------
    ConflictError
        If the table holds a row that the trail did not write.
    """
    content = json.dumps(dict(details or {}), sort_keys=True, allow_nan=False, default=str)
    with _alone(lake):
        head = _read_head(lake)
        if head is None and lake.exists(AUDIT) and (last := lake.read(AUDIT).sort("sequence").tail(1)).height:
            lost = {"meaning": f"{HEAD_FILE} was gone; rows after {last['sequence'][0]} may be gone too"}
            head = _append(lake, last.row(0, named=True), "audit", HEAD_LOST, "lost", json.dumps(lost))
        if head is not None and not head.is_stored:
            _store(lake, head.row)
        made = _append(lake, None if head is None else head.row, who, what, result, content)
    return int(made.row["sequence"])


def verify(lake: "Lake") -> list[AuditFinding]:
    """Verify the hash chain; an empty list says that every row is present and unaltered."""
    with _alone(lake):
        head = _read_head(lake)
        rows = lake.read(AUDIT) if lake.exists(AUDIT) else AUDIT.empty()
    return list(_findings(rows.sort("sequence", "row_hash").to_dicts(), head))


def held(lake: "Lake") -> "AbstractContextManager[None]":
    """Lock the trail against writers, so that its table and the file with its newest row agree."""
    return _alone(lake)


def newest(lake: "Lake", rows: int, what: str = "") -> list[Row]:
    """The newest rows whose topic begins with a text, the oldest of them first."""
    if not lake.exists(AUDIT):
        return []
    return lake.read(AUDIT, where=pl.col("what").str.starts_with(what)).sort("sequence").tail(rows).to_dicts()


def about(lake: "Lake", who: str) -> list[Row]:
    """Every row by a pseudonym or about it, the oldest first."""
    if not lake.exists(AUDIT):
        return []
    is_meant = (pl.col("who") == who) | pl.col("details").str.contains(who, literal=True)
    return lake.read(AUDIT, where=is_meant).sort("sequence").to_dicts()


def length(lake: "Lake") -> int:
    """Number of rows."""
    return lake.read(AUDIT).height if lake.exists(AUDIT) else 0


def console() -> str:
    """Actor of a command at this machine: the user it runs as."""
    try:
        return f"console:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"console:{os.getuid()}"


def note_configuration(lake: "Lake", configured: "Settings", *, who: str) -> dict[str, list[str | None]]:
    """Write down which settings are others than when this was last called: name to [before, now].

    A password within an address is left out. Nothing is written when nothing changed.
    """
    before: dict[str, str | None] = {}
    if lake.exists(AUDIT):
        for text in lake.read(AUDIT, where=pl.col("what") == CONFIGURATION).sort("sequence")["details"]:
            before |= {name: values[1] for name, values in json.loads(text).items()}
    now = {name: _harmless(getattr(configured, name)) for name in type(configured).model_fields}
    changed = {name: [before.get(name), value] for name, value in now.items() if before.get(name) != value}
    if changed:
        record(lake, who=who, what=CONFIGURATION, details=changed)
    return changed


def hash_of(row: "Mapping[str, Any]") -> str:
    """SHA-256 of everything a row says, the hash of the row before included."""
    hashed = json.dumps([row[name] for name in HASHED], default=_instant, separators=(",", ":"))
    return hashlib.sha256(hashed.encode()).hexdigest()


def _append(lake: "Lake", last: "Row | None", who: str, what: str, result: str, details: str) -> _Head:
    now = datetime.now(UTC)
    row: Row = {
        "sequence": 1 if last is None else last["sequence"] + 1,
        "event_time": now,
        "known_time": now,
        "who": who,
        "what": what,
        "result": result,
        "details": details,
        "previous_hash": ZEROS if last is None else last["row_hash"],
    }
    row["row_hash"] = hash_of(row)
    _write_head(lake, _Head(row, is_stored=False))
    _store(lake, row)
    head = _Head(row, is_stored=True)
    _write_head(lake, head)
    return head


def _store(lake: "Lake", row: Row) -> None:
    """Append a row to the table; idempotent."""
    try:
        lake.merge(AUDIT, pl.DataFrame([row], schema=AUDIT.schema))
    except ConflictError as error:
        raise ConflictError(
            f"Row {row['sequence']} of the audit trail is taken by one that was not written here. "
            "`quantlake audit verify` says what is wrong; nothing more is written down until it is mended."
        ) from error


def _findings(rows: "Sequence[Row]", head: _Head | None) -> "Iterator[AuditFinding]":
    """Walk along the rows in the order of their positions."""
    place, last_hash = 0, ZEROS
    for row in rows:
        at = row["sequence"]
        if at == place:
            yield AuditFinding(at, "stands twice in the table: one of the two was inserted")
            continue
        if at > place + 1:
            yield AuditFinding(place + 1, f"is missing{f', with those up to {at - 1}' if at > place + 2 else ''}")
        if hash_of(row) != row["row_hash"]:
            yield AuditFinding(at, "does not have the hash of what it says: it was edited")
        if at == place + 1 and row["previous_hash"] != last_hash:
            yield AuditFinding(
                at, "does not follow the row before it: one of the two was edited, or they were reordered"
            )
        if row["what"] == HEAD_LOST:
            yield AuditFinding(at, f"was written because {HEAD_FILE} was gone: rows just before it may be missing")
        place, last_hash = at, row["row_hash"]
    yield from _after_the_last(rows, place, last_hash, head)


def _after_the_last(rows: "Sequence[Row]", place: int, last_hash: str, head: _Head | None) -> "Iterator[AuditFinding]":
    """Compare the newest row with the head file beside the table."""
    if head is None:
        if rows:
            yield AuditFinding(place, f"cannot be known to be the newest: {HEAD_FILE} is gone")
        return
    newest = head.row["sequence"]
    if place < newest and (head.is_stored or place < newest - 1):
        yield AuditFinding(newest, "is missing: the newest rows were deleted")
    elif place > newest:
        yield AuditFinding(place, f"was inserted: the newest row written is {newest}")
    elif place == newest and last_hash != head.row["row_hash"]:
        yield AuditFinding(place, "is not the row that was written: it was edited")


def _alone(lake: "Lake") -> "AbstractContextManager[None]":
    return file_lock(lake.root / ".audit_trail.lock", "The audit trail")


def _read_head(lake: "Lake") -> _Head | None:
    path = lake.root / HEAD_FILE
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        times = {name: datetime.fromisoformat(held["row"][name]) for name in ("event_time", "known_time")}
        return _Head({**held["row"], **times}, is_stored=held["is_stored"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedTableError(
            f"{path}, which holds the newest row of the audit trail, cannot be read: {error}. Restore it from a "
            "backup, or move it away: the next row then says that it was gone."
        ) from error


def _write_head(lake: "Lake", head: _Head) -> None:
    content = json.dumps({"row": head.row, "is_stored": head.is_stored}, default=_instant, sort_keys=True)
    write_private(lake.root / HEAD_FILE, content)


def _instant(value: object) -> str:
    assert isinstance(value, datetime)
    return value.astimezone(UTC).isoformat()


def _harmless(value: object) -> str | None:
    """A setting as text; of an address only the scheme, the server and the path, since all else may hold a secret."""
    if value is None:
        return None
    text = str(value)
    if "://" not in text:
        return text
    parts = urlsplit(text)
    user, at, server = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'***@' if user or at else ''}{server}{parts.path.partition(';')[0]}"
