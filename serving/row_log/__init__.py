"""Row logs: rows of a table on disk before they are answered, and their way into the lake.

- `log_file`: a declared log, one SQLite file of a home, which several processes may write to
- `values`: a value out of JSON in the type of a table's column
- `rows`: a logged row as the table takes it
- `writing`, `reading`: a row put into a log, and rows found in log and lake
- `draining`: rows merged into the table; merged rows leave the log after its retention
- `askers`: whose key asked for a row, and that it is forgotten
"""

from serving.row_log.askers import asked_by, asked_with, askers, forget_askers
from serving.row_log.draining import drain_rows
from serving.row_log.log_file import RowLog, opened_log, row_log_path
from serving.row_log.reading import rows_about, rows_of_log
from serving.row_log.values import value_of
from serving.row_log.writing import log_row

__all__ = [
    "RowLog",
    "asked_by",
    "asked_with",
    "askers",
    "drain_rows",
    "forget_askers",
    "log_row",
    "opened_log",
    "row_log_path",
    "rows_about",
    "rows_of_log",
    "value_of",
]
