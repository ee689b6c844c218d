"""Report of a step as Dagster metadata."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from lake.settings import settings

if TYPE_CHECKING:
    from lake.report import Report
    from lake.store import Lake

ROWS, ROWS_OF_YEAR, ROWS_OF_TABLE = "dagster/row_count", "dagster/partition_row_count", "rows_in_table"
"""Rows as Dagster plots them, of an asset and of one of its partitions; and rows of a table that is shown by year."""
NOTHING, BULLET = "none", "• "
"""What is shown of an empty list, and before each sentence of one."""


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
    """Metadata of a report; what it does not say is left out, ``skipped`` where the step was done too.

    The 0 rows of an empty table are a count, those of what is no table are left out.
    """
    shown: dict[str, Any] = {
        ROWS: report.rows if report.version is not None else report.rows or None,
        "rows_added": report.added,
        "table_version": report.version,
        "first": _instant(report.first),
        "last": _instant(report.last),
        "seconds": round(report.seconds, 3),
        "skipped": report.skipped or None,
        "warnings": _list(report.warnings) if report.warnings else None,
    }
    shown |= {name: _shown(value) for name, value in report.details.items()}
    return {name: value for name, value in shown.items() if value is not None}


def warnings_in(values: Mapping[str, Any]) -> list[str]:
    """Sentences of the warnings among values of metadata that was made of a report."""
    return [line.removeprefix(BULLET) for line in values.get("warnings", "").splitlines()]


def _instant(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def _shown(value: Any) -> Any:
    if isinstance(value, Path):
        return _file(value)
    if isinstance(value, (list, tuple, dict)) and not value:
        return NOTHING
    if isinstance(value, (list, tuple)) and all(isinstance(row, Mapping) for row in value):
        return rows_as_table(value)
    if isinstance(value, (list, tuple)) and all(isinstance(row, str) for row in value):
        return _texts(value)
    if isinstance(value, (list, tuple, dict)):
        return dg.MetadataValue.json(plain(value))
    return plain(value)


def _texts(values: Sequence[str]) -> str:
    """Names in one line, sentences as a list."""
    return _list(values) if any(" " in value for value in values) else ", ".join(values)


def _list(sentences: Iterable[str]) -> str:
    """Sentences as plain text, which Dagster wraps and shows at any length; long Markdown it hides behind a link."""
    return "\n".join(f"{BULLET}{sentence}" for sentence in sentences)


def _file(path: Path) -> Any:
    """A picture itself, of another file its place."""
    if path.suffix == ".png" and path.exists():
        picture = base64.b64encode(path.read_bytes()).decode()
        return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{picture})")
    return _place(path)


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


def rows_as_table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Return rows, at least one, as a table whose columns are the names of all of them.

    Dagster shows a table as it is; text of more than 1,000 letters, as Markdown, it hides behind a link.

    Examples
    --------
    >>> shown = rows_as_table([{"model": "tft", "loss": 0.123456, "beats_naive": True, "t_value": None}])
    >>> dict(shown.records[0].data)
    {'model': 'tft', 'loss': '0.1235', 'beats_naive': 'yes', 't_value': '-'}
    """
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    return dg.MetadataValue.table(
        [dg.TableRecord({name: _cell(row.get(name)) for name in names}) for row in rows],
        dg.TableSchema([dg.TableColumn(name) for name in names]),
    )


def _cell(value: Any) -> str:
    """One value as a reader expects it: four digits of a fraction, thousands apart, no words of Python."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M} UTC"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
