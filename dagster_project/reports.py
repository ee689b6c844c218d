"""Report of a step as Dagster metadata."""

import base64
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from lake.report import Report


def materialized(report: "Report", *, asset_key: str | None = None) -> dg.MaterializeResult:
    """Turn a report into the result of an asset: rows, version, times, pictures, and what was skipped and why."""
    return dg.MaterializeResult(asset_key=asset_key, metadata=metadata_of(report))


def metadata_of(report: "Report") -> dict[str, Any]:
    """Metadata of a report; missing values are left out."""
    shown: dict[str, Any] = {
        "dagster/row_count": report.rows or None,
        "rows_added": report.added,
        "table_version": report.version,
        "first": _instant(report.first),
        "last": _instant(report.last),
        "seconds": round(report.seconds, 3),
        "skipped": report.skipped,
        "warnings": dg.MetadataValue.md("\n".join(f"- {warning}" for warning in report.warnings))
        if report.warnings
        else None,
    }
    shown |= {name: _shown(value) for name, value in report.details.items()}
    return {name: value for name, value in shown.items() if value is not None}


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _shown(value: Any) -> Any:
    if isinstance(value, Path) and value.suffix == ".png" and value.exists():
        picture = base64.b64encode(value.read_bytes()).decode()
        return dg.MetadataValue.md(f"![{value.stem}](data:image/png;base64,{picture})")
    if isinstance(value, Path):
        return dg.MetadataValue.path(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        return dg.MetadataValue.md(_table(value))
    if isinstance(value, (list, tuple, dict)):
        return dg.MetadataValue.json(plain(value))
    return plain(value)


def plain(value: Any) -> Any:
    """Return nested values as JSON has them; other types become their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def _table(rows: list[Mapping[str, Any]] | tuple[Mapping[str, Any], ...]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
