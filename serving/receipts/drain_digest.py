"""Digests of drained batches on the audit chain: a forecast replaced later, receipt included, is detected.

Seals and digests within a row and its receipt can all be made anew by whoever replaces both. So each batch that goes
from the log to the lake leaves a file with one line per forecast, ordered by id: a digest of the receipt, which holds
those of row and answer, and the id. The SHA-256 of that file stands in a row of the audit trail, which cannot be
changed without breaking the chain of hashes.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.disk import write_private
from lake.tables import AUDIT, FORECASTS, RECEIPTS
from serving import audit
from serving.receipts.findings import ReplayFinding
from serving.receipts.seals import digest_of, row_digest

if TYPE_CHECKING:
    from lake.store import Lake

FOLDER = ".drained"
WHAT, WHO = "forecasts.drain", "drain"
DIGITS = 32
"""Hexadecimal digits of a line's digest: 128 bits, of which nobody finds a second text."""
NAME_DIGITS = 32
AT_ONCE = 50_000
SHOWN = 20
"""Forecasts that are named one by one when the whole lake is verified."""
REPLACED = "row and receipt are not those that were drained, though they may fit each other: both were replaced"
NEVER = "it was never drained from the log of a service: it was inserted"
GONE = "it was drained and is not in the lake any more: it was deleted"


@dataclass(frozen=True)
class DrainedBatch:
    """Record of one drained batch in the audit trail.

    Parameters
    ----------
    sequence
        Row of the audit trail.
    drained_at
        When.
    count, digest
        How many forecasts, and the SHA-256 of the file of their lines.
    path
        That file.
    """

    sequence: int
    drained_at: datetime
    count: int
    digest: str
    path: Path

    def lines(self) -> "dict[str, str] | ReplayFinding":
        """Digest by forecast, or a finding about the file."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except OSError as error:
            return ReplayFinding(
                "drain", str(self.path), f"row {self.sequence} of the audit trail names it: {error.strerror}"
            )
        if digest_of(text) != self.digest:
            problem = f"it was altered: its digest is not that of row {self.sequence} of the audit trail"
            return ReplayFinding("drain", str(self.path), problem)
        return {name: digest for digest, _, name in (line.partition(" ") for line in text.splitlines())}


def record(lake: "Lake", rows: pl.DataFrame, receipts: pl.DataFrame) -> str:
    """Write down which forecasts were drained; to be called after both were merged and before the log is marked.

    A batch that was written down is not written down again. A process that is killed after the merge and before this
    leaves a batch that the next drain brings again, perhaps with more forecasts in it: then it is written down; and
    one that is killed before the log is marked may leave forecasts that stand in two batches, which changes nothing.

    Parameters
    ----------
    rows, receipts
        The batch as rows of `forecasts` and of `receipts`.

    Returns
    -------
    str
        Digest of the batch; empty where it holds no forecast.
    """
    if not rows.height:
        return ""
    lines = {name: _digest(content) for name, content in receipts.select("forecast_id", "content").iter_rows()}
    bare = rows.join(receipts, on="forecast_id", how="anti")
    lines |= {row["forecast_id"]: _digest(row_digest(row)) for row in bare.iter_rows(named=True)}
    text = "".join(f"{lines[name]} {name}\n" for name in sorted(lines))
    digest = digest_of(text)
    if any(batch.digest == digest for batch in batches(lake)):
        return digest
    write_private(_path(lake, digest), text)
    audit.record(lake, who=WHO, what=WHAT, details={"forecasts": len(lines), "digest": digest})
    return digest


def batches(lake: "Lake") -> list[DrainedBatch]:
    """Every batch that the audit trail knows, the oldest first."""
    if not lake.exists(AUDIT):
        return []
    found = lake.read(AUDIT, where=pl.col("what") == WHAT).sort("sequence")
    recorded = [(row, json.loads(row["details"])) for row in found.iter_rows(named=True)]
    return [
        DrainedBatch(
            row["sequence"], row["event_time"], details["forecasts"], details["digest"], _path(lake, details["digest"])
        )
        for row, details in recorded
    ]


def judge(lake: "Lake", stored: Sequence[tuple[Mapping[str, Any], str, bool]]) -> dict[str, ReplayFinding]:
    """Compare stored forecasts with the drained digests; returns findings by forecast.

    A forecast that stands in no batch is a fault only where it was made after batches began to be written down, and
    the log does not hold it: of a drain that was cut off, the next one writes the batch down.

    Parameters
    ----------
    stored
        Of each forecast of the lake that was not replayed: its row, its receipt without the seal, and whether the log
        still holds it.
    """
    known = batches(lake)
    missing = {row["forecast_id"]: (row, content, is_logged) for row, content, is_logged in stored}
    found = dict[str, ReplayFinding]()
    for batch in reversed(known):
        if not missing:
            break
        lines = batch.lines()
        if isinstance(lines, ReplayFinding):
            continue  # `verify` names the file
        for name in missing.keys() & lines.keys():
            row, content, _ = missing.pop(name)
            if not _is_as_drained(row, content, lines[name]):
                found[name] = ReplayFinding("drain", name, REPLACED)
    for name, (row, _, is_logged) in missing.items():
        if known and not is_logged and row["made_at"] > known[0].drained_at:
            found[name] = ReplayFinding("drain", name, NEVER)
    return found


def verify(lake: "Lake") -> list[ReplayFinding]:
    """Compute the digest of every drained batch again from the tables; an empty list says that all is as it was."""
    found = list[ReplayFinding]()
    for batch in batches(lake):
        lines = batch.lines()
        if isinstance(lines, ReplayFinding):
            found.append(lines)
            continue
        wrong = [finding for part in _parts(list(lines)) for finding in _differing(lake, part, lines)]
        found += wrong[:SHOWN]
        if len(wrong) > SHOWN:
            more = f"{len(wrong) - SHOWN} more forecasts of it are not as they were drained"
            found.append(ReplayFinding("drain", str(batch.path), more))
    return found


def _differing(lake: "Lake", names: Sequence[str], lines: Mapping[str, str]) -> Iterator[ReplayFinding]:
    is_mine = pl.col("forecast_id").is_in(list(names))
    rows = lake.scan_all(FORECASTS).filter(is_mine).collect() if lake.exists(FORECASTS) else FORECASTS.empty()
    receipts = lake.scan_all(RECEIPTS).filter(is_mine).collect() if lake.exists(RECEIPTS) else RECEIPTS.empty()
    contents = dict(receipts.select("forecast_id", "content").iter_rows())
    gone = set(names)
    for row in rows.iter_rows(named=True):
        name = row["forecast_id"]
        gone.discard(name)
        if not _is_as_drained(row, contents.get(name, ""), lines[name]):
            yield ReplayFinding("drain", name, REPLACED)
    yield from (ReplayFinding("drain", name, GONE) for name in sorted(gone))


def _digest(text: str) -> str:
    """Digest of a receipt, which holds those of its row and of its answer; of the row where there is no receipt."""
    return digest_of(text)[:DIGITS]


def _is_as_drained(row: Mapping[str, Any], content: str, line: str) -> bool:
    if not content:
        return _digest(row_digest(row)) == line
    return _digest(content) == line and f'"row":"{row_digest(row)}"' in content


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[at : at + AT_ONCE] for at in range(0, len(names), AT_ONCE))


def _path(lake: "Lake", digest: str) -> Path:
    return lake.root / FOLDER / f"{digest[:NAME_DIGITS]}.txt"
