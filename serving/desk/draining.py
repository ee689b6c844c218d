"""The journal's rows into the lake: each exactly once."""

import time
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import SchemaError
from lake.report import Report
from lake.spec import TableSpec
from lake.tables import EQUITY
from serving.desk.journal import KEPT, DeskJournal, Row
from serving.row_log import value_of

if TYPE_CHECKING:
    from lake.store import Lake

DRAINED_AT_ONCE = 5_000


def drain_desk(lake: "Lake", journal: DeskJournal) -> Report:
    """Merge every row that is not in the lake yet into its table.

    Rows are merged first and marked afterwards: a process killed in between leaves rows that the next drain merges
    again, finds stored, and adds nothing. They stay in the journal.

    Returns
    -------
    Report
        Of `equity`; ``details["added"]`` counts rows by table. Skipped where no row waited.
    """
    started, added = time.perf_counter(), dict[str, int]()
    for spec in KEPT:
        while waiting := journal.waiting(spec, DRAINED_AT_ONCE):
            frame = pl.DataFrame([_typed(spec, row) for _, row in waiting], schema=spec.schema, orient="row")
            added[spec.name] = added.get(spec.name, 0) + lake.merge(spec, frame).added
            journal.mark_drained(number for number, _ in waiting)
    seconds = time.perf_counter() - started
    if not added or not lake.exists(EQUITY):
        return Report(EQUITY.name, added=sum(added.values()), seconds=seconds, skipped=not added).with_details(
            **({"added": added} if added else {"reason": "no row of the desk waits"})
        )
    report = lake.report(EQUITY, added=added.get(EQUITY.name, 0), started=started)
    return report.with_details(seconds=seconds, rows_added_to=added)


def _typed(spec: TableSpec, row: Row) -> dict[str, object]:
    values: dict[str, object] = {}
    for column in spec.columns:
        value = row.get(column.name)
        plain = value.isoformat() if isinstance(value, datetime) else value
        values[column.name], fault = value_of(column, plain)
        if fault:
            raise SchemaError(
                f"A row of the desk's journal does not fit the table '{spec.name}': column '{column.name}' {fault}. "
                "It stays in the journal."
            )
    return values
