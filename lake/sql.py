"""A DuckDB connection in which every table of the lake is a view, as it stands or as it was known at an instant."""

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING

from lake.clock import require_utc
from lake.files import YEAR
from lake.snapshots import StoredTable
from lake.store import Lake

if TYPE_CHECKING:
    import duckdb

_HELD: deque["duckdb.DuckDBPyConnection"] = deque(maxlen=16)
"""DuckDB closes a connection with the last reference to it, even under a query: `connect().sql(...)` would be dead."""


def connect(at: datetime | None = None, lake: Lake | None = None) -> "duckdb.DuckDBPyConnection":
    """Return a connection with one view per table.

    The views read the Parquet files of the newest version at the time of the call; connect again to see later
    commits. A table without a row yet is an empty view. Times are shown in UTC.

    Parameters
    ----------
    at
        Instant with a zone: each view holds what was known then, the newest known row per key. By default every
        stored row, restated ones beside those they replace.
    lake
        Lake to read, by default the one the environment names.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from lake.sql import connect
    >>> from lake.store import Lake
    >>> from lake.tables import BARS
    >>> from lake.testing import tiny_market
    >>> lake = Lake(getfixture("tmp_path"))
    >>> _ = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
    >>> connect(at=datetime(2012, 12, 28, 21, tzinfo=UTC), lake=lake).sql("select count(*) from bars").fetchone()
    (8,)
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    for table in (lake or Lake.open()).stored():
        if table.files:
            connection.execute(f'CREATE VIEW "{table.name}" AS {_select(table, at)}')
        else:
            columns = [name for name in table.schema.names if name != YEAR]
            connection.register(table.name, table.schema.empty_table().select(columns))
    _HELD.append(connection)
    return connection


def _select(table: StoredTable, at: datetime | None) -> str:
    # The folder name `year=2012` repeats event_time and is no column of the table.
    files = ", ".join(_quoted(file) for file in table.files)
    select = f"SELECT * FROM read_parquet([{files}], hive_partitioning = false, union_by_name = true)"  # noqa: S608 - our own paths, quoted
    if at is None:
        return select
    known = f"{select} WHERE known_time <= TIMESTAMPTZ {_quoted(require_utc(at).isoformat())}"
    if not table.restates:
        return known
    key = ", ".join(f'"{name}"' for name in table.key)
    return f"{known} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_time DESC) = 1"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
