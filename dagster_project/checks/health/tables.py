"""Checks of the tables: log, checkpoint, data files, pinned versions, and the audit trail."""

import json
import shlex
from pathlib import Path

from dagster_project.checks.health.finding import HealthFinding, set_aside
from lake.settings import Settings

HASHED_AT_ONCE = 1 << 30
"""Up to this many bytes of data files are hashed without ``--deep``: about a second."""


def tables(configured: Settings, *, is_deep: bool = False) -> list[HealthFinding]:
    """Look at every table; data files are hashed where that takes about a second, or where it is asked."""
    from feature_repo.catalog import SPECS
    from lake.care import TableFault, examine, pins_in_use
    from lake.store import Lake, data_files

    lake = Lake.open(configured)
    specs = [spec for spec in SPECS if lake.exists(spec) or data_files(lake.path(spec))]
    size = sum(file.stat().st_size for spec in specs for file in data_files(lake.path(spec)))
    found = list[HealthFinding]()
    try:
        in_use = pins_in_use(lake, unreadable=[])
    except (ValueError, KeyError, TypeError):  # a damaged pin, which `pins` names
        in_use = {}
    for spec in specs:
        try:
            wrong = examine(lake, spec, is_deep=is_deep or size <= HASHED_AT_ONCE, in_use=in_use)
        except Exception as error:  # noqa: BLE001 - whatever a library makes of a damaged file, it is named
            wrong = [TableFault("unreadable table", lake.path(spec), str(error))]
        found += [
            HealthFinding(
                finding.kind,
                finding.path,
                f"table {spec.name}: {finding.meaning}",
                _remedy(finding.kind, spec.name, lake.path(spec)),
            )
            for finding in wrong
        ]
    return found


def _remedy(kind: str, table: str, folder: Path) -> str:
    return set_aside(folder) if kind == "missing log" else f"quantlake lake repair {shlex.quote(table)}"


def undigested(configured: Settings) -> list[HealthFinding]:
    """Count the data files that were written before file names carried a digest."""
    from feature_repo.catalog import SPECS
    from lake.care import undigested
    from lake.errors import QuantlakeError
    from lake.store import Lake

    lake, counts = Lake.open(configured), dict[str, int]()
    for spec in SPECS:
        try:
            if lake.exists(spec) and (count := undigested(lake, spec)):
                counts[spec.name] = count
        except QuantlakeError:  # `tables` names what is wrong
            continue
    if not counts:
        return []
    tables_named = next(iter(counts)) if len(counts) == 1 else f"{len(counts)} tables"
    meaning = (
        f"{sum(counts.values())} data files of {tables_named} carry no digest: a changed bit in them goes unnoticed"
    )
    return [HealthFinding("not digested", lake.root, meaning, "quantlake lake compact --digests", is_damage=False)]


def pins(configured: Settings) -> list[HealthFinding]:
    """Look at the files that keep versions of tables readable."""
    found = []
    for path in sorted((configured.tables / ".pins").glob("*.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            is_whole = isinstance(content["holder"], str) and isinstance(content["versions"], dict)
        except (ValueError, KeyError, TypeError):
            is_whole = False
        if not is_whole:
            meaning = "which table versions it keeps is not known; no vacuum runs until it is gone"
            found.append(HealthFinding("damaged pin", path, meaning, set_aside(path)))
    return found


def audit_trail(configured: Settings) -> list[HealthFinding]:
    """Verify the hash chain of the audit trail."""
    from lake.store import Lake
    from lake.tables import AUDIT
    from serving import audit

    lake = Lake.open(configured)
    head = lake.root / audit.HEAD_FILE
    if not head.exists() and lake.exists(AUDIT):
        meaning = "the file that says which row of the audit trail is the newest is gone; the next row will say so"
        return [HealthFinding("missing head of the audit trail", head, meaning, set_aside(head))]
    try:
        findings = audit.verify(lake)
    except Exception:  # noqa: BLE001 - as above
        if not _is_head(head):
            meaning = "the newest row of the audit trail cannot be read; the next row will say that it was gone"
            return [HealthFinding("damaged head of the audit trail", head, meaning, set_aside(head))]
        return []  # the table itself, which `tables` names
    return [
        HealthFinding(
            "altered audit trail",
            lake.root / "audit",
            f"row {finding.sequence} {finding.meaning}",
            "quantlake audit verify",
        )
        for finding in findings
        if audit.HEAD_FILE not in finding.meaning  # an incident that the trail itself has on record
    ]


def _is_head(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return isinstance(content["row"], dict) and isinstance(content["is_stored"], bool)
    except FileNotFoundError:
        return True
    except (ValueError, KeyError, TypeError):
        return False
