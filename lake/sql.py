"""A DuckDB connection in which every table of the lake is a view, as it stands or as it was known at an instant."""

import re
from collections import deque
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lake.clock import require_utc
from lake.errors import DamagedTableError, NotReadyError
from lake.store import YEAR, Lake, StoredTable, commits, require_intact, snapshots

if TYPE_CHECKING:
    import duckdb

_HELD: deque["duckdb.DuckDBPyConnection"] = deque(maxlen=16)
"""DuckDB closes a connection with the last reference to it, even under a query: `connect().sql(...)` would be dead."""
QUERYING = frozenset({"sql", "query", "execute", "table", "view", "from_query"})
"""Methods of a connection whose first argument names tables."""
WORD = re.compile(r"\w+")


class LakeConnection:
    """A DuckDB connection that verifies the tables of a query before it runs.

    It has everything that a `duckdb.DuckDBPyConnection` has. A query that names a damaged table raises
    `DamagedTableError` with the table, the file and the remedy; the other tables are not affected by it.
    """

    def __init__(
        self, connection: "duckdb.DuckDBPyConnection", tables: dict[str, StoredTable], damaged: dict[str, str]
    ) -> None:
        self._connection, self._tables, self._damaged = connection, tables, damaged

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in QUERYING:
            return found

        def checked(query: Any, *arguments: Any, **options: Any) -> Any:
            self._require_intact(query)
            return found(query, *arguments, **options)

        return checked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _require_intact(self, query: Any) -> None:
        for name in self._named(query):
            if name in self._damaged:
                raise DamagedTableError(self._damaged[name])
            table = self._tables[name]
            if fault := _missing(table):
                raise DamagedTableError(fault)
            require_intact(name, table.files)

    def _named(self, query: Any) -> Collection[str]:
        """Return the tables that a query names; where DuckDB's parser cannot tell, those whose name is in its text."""
        import duckdb

        if not isinstance(query, str):
            return []
        try:
            parsed = [
                self._connection.get_table_names(statement.query)
                for statement in self._connection.extract_statements(query)
            ]
        except duckdb.Error:  # e.g. a statement that is none: DuckDB says so itself
            parsed = [set()]
        words = {word.lower() for names in parsed for word in names or WORD.findall(query)}
        return sorted(words & {*self._tables, *self._damaged})


def connect(at: datetime | None = None, lake: Lake | None = None) -> LakeConnection:
    """Return a connection with one view per table.

    The views read the Parquet files of the newest version at the time of the call; connect again to see later
    commits. A table without a row yet is an empty view; a damaged one is none, and a query that names it says what is
    wrong. Each file is verified once per process, before the first query that reads it. Times are shown in UTC.

    Parameters
    ----------
    at
        Instant with a zone: each view holds what was known then, the newest known row per key. By default every
        stored row, restated ones beside those they replace.
    lake
        Lake to read, by default the one the environment names.

    Raises
    ------
    DamagedTableError
        By a query over a damaged table, naming the file and the command that repairs it.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from pathlib import Path
    >>> from lake.sql import connect
    >>> from lake.store import Lake
    >>> from lake.tables import BARS
    >>> from lake.sources import tiny_market
    >>> lake = Lake(Path(tempfile.mkdtemp()))
    >>> _ = lake.merge(BARS, tiny_market(["AAA", "BBB"], sessions=5, seed=1))
    >>> connect(at=datetime(2012, 12, 28, 21, tzinfo=UTC), lake=lake).sql("select count(*) from bars").fetchone()
    (8,)
    """
    import duckdb

    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    tables, damaged = dict[str, StoredTable](), dict[str, str]()
    for folder in (lake or Lake.open()).folders():
        try:
            tables[folder.name] = table = _described(folder)
            if fault := _missing(table):
                damaged[folder.name] = fault
            else:
                _make_view(connection, table, at)
        except (DamagedTableError, NotReadyError) as error:
            damaged[folder.name] = str(error)
        except duckdb.Error as error:
            damaged[folder.name] = (
                f"Table '{folder.name}' is damaged: {str(error).splitlines()[0]}. `quantlake lake doctor "
                f"{folder.name}` names the file, `quantlake lake repair {folder.name}` goes back to the last good rows."
            )
    _HELD.append(connection)
    return LakeConnection(connection, tables, damaged)


def _described(folder: Path) -> StoredTable:
    opened = snapshots.opened(folder)
    table = snapshots.describe(opened, folder)
    commits.require_complete(folder, None, table.version)
    return table


def _missing(table: StoredTable) -> str | None:
    """What is wrong with the files of a table, where one is not there or not of the size its log says."""
    for path, size in zip(table.files, table.sizes, strict=True):
        try:
            found: int | None = Path(path).stat().st_size
        except FileNotFoundError:
            found = None
        if found != size:
            what = "is missing" if found is None else f"has {found:,} bytes, its log says {size:,}"
            return (
                f"Table '{table.name}' is damaged: {path} {what}. `quantlake lake repair {table.name}` takes it out, "
                "and says what is lost."
            )
    return None


def _make_view(connection: "duckdb.DuckDBPyConnection", table: StoredTable, at: datetime | None) -> None:
    if table.files:
        connection.execute(f'CREATE VIEW "{table.name}" AS {_select(table, at)}')
    else:
        columns = [name for name in table.schema.names if name != YEAR]
        connection.register(table.name, table.schema.empty_table().select(columns))


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
