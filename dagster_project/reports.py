"""Report of a step as Dagster metadata."""

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from lake.settings import settings

if TYPE_CHECKING:
    from lake.report import Report
    from lake.store import Lake

ROWS, ROWS_OF_YEAR, ROWS_OF_TABLE = "dagster/row_count", "dagster/partition_row_count", "rows_in_table"
"""Rows as Dagster plots them, of an asset and of one of its partitions; and rows of a table that is shown by year."""


def materialized(report: "Report", *, asset_key: str | None = None) -> dg.MaterializeResult:
    """Turn a report into the result of an asset: rows, version, times, pictures, and what was skipped and why."""
    return dg.MaterializeResult(asset_key=asset_key, metadata=metadata_of(report))


def materialized_by_year(context: dg.AssetExecutionContext, lake: "Lake", report: "Report") -> dg.MaterializeResult:
    """Turn a report into the result of an asset that is partitioned by year: each year with its own number of rows.

    All years of a run share one report. Its rows are those of the table, and under each year would be taken for the
    year's: so they are called ``rows_in_table``, and each year has ``dagster/partition_row_count``.
    """
    from feature_repo.catalog import spec_of

    metadata, spec = metadata_of(report), spec_of(report.name)
    if ROWS in metadata:
        metadata[ROWS_OF_TABLE] = metadata.pop(ROWS)
    rows = lake.rows_by_year(spec) if lake.exists(spec) else {}
    for key in context.partition_keys:
        context.add_asset_metadata({ROWS_OF_YEAR: rows.get(int(key), 0)}, asset_key=report.name, partition_key=key)
    return dg.MaterializeResult(asset_key=report.name, metadata=metadata)


def metadata_of(report: "Report") -> dict[str, Any]:
    """Metadata of a report; missing values are left out; the 0 rows of an empty table are none."""
    shown: dict[str, Any] = {
        ROWS: report.rows if report.version is not None else report.rows or None,
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
        return _place(value)
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        return rows_as_table(value)
    if isinstance(value, (list, tuple, dict)):
        return dg.MetadataValue.json(plain(value))
    return plain(value)


def _place(path: Path) -> str:
    """Where a file lies, from the home on: a home may be moved, and what Dagster has stored goes on to say so."""
    home = settings().home
    return f"{path.relative_to(home)} in the home" if path.is_relative_to(home) else str(path)


def plain(value: Any) -> Any:
    """Return nested values as JSON has them; other types become their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def rows_as_table(rows: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    """Return rows, at least one, as a table of Markdown with the names of the first."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name)) for name in names) + " |" for row in rows]
    return dg.MetadataValue.md("\n".join(lines))


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)
