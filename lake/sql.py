"""A DuckDB connection in which every table of the lake is a view: as it is known now, or as it was at an instant."""

import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lake.clock import instant_of
from lake.errors import DamagedTableError, NotReadyError
from lake.store import YEAR, Lake, StoredTable, commits, require_intact, snapshots, withdrawn
from lake.tables import FORECAST_DECISIONS, TABLES

if TYPE_CHECKING:
    import duckdb

_HELD: deque["duckdb.DuckDBPyConnection"] = deque(maxlen=16)
"""DuckDB closes a connection with the last reference to it, even under a query: `connect().sql(...)` would be dead."""
QUERYING = frozenset({"sql", "query", "execute", "table", "view", "from_query"})
"""Methods of a connection whose first argument names tables."""
WORD = re.compile(r"\w+")
NOT_THERE = re.compile(r"Table with name (\w+) does not exist")
DECLARED = frozenset(spec.name for spec in TABLES)
HISTORY = "history"
"""Schema of the views that hold every stored row, made when a query first names it."""
COMMENTS = "duckdb_"
"""Begins the names of DuckDB's own functions that list comments, which are written when a query first names one."""
COLUMNS_OF = """
    CREATE MACRO columns_of(asked) AS TABLE SELECT column_name AS name, data_type AS type, unit, meaning
    FROM duckdb_columns() JOIN about.columns USING (table_name, column_name)
    WHERE table_name = lower(asked) AND schema_name = 'main' ORDER BY column_index
"""
COMMENT = """
    SELECT table_name, column_name, concat_ws(', ', nullif(meaning, ''), nullif(unit, ''))
    FROM duckdb_columns() JOIN about.columns USING (table_name, column_name)
    WHERE schema_name = 'main' AND meaning || unit <> ''
"""
WITHDRAWABLE = frozenset(spec.name for spec in TABLES if spec.withdrawable)


class LakeConnection:
    """A DuckDB connection that verifies the tables of a query before it runs.

    It has everything that a `duckdb.DuckDBPyConnection` has. A query that names a damaged table raises
    `DamagedTableError` with the table, the file and the remedy; the other tables are not affected by it. One that names
    a table of the platform that was never written raises `TableNotFoundError` with the command that makes it.
    """

    def __init__(
        self,
        connection: "duckdb.DuckDBPyConnection",
        tables: dict[str, StoredTable],
        damaged: dict[str, str],
        later: dict[str, Callable[[], str]],
        folder: Path,
    ) -> None:
        self._connection, self._tables, self._damaged, self._later = connection, tables, damaged, later
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        if name not in QUERYING:
            return found

        def checked(query: Any, *arguments: Any, **options: Any) -> Any:
            import duckdb

            self._require_intact(query)
            self._prepare(query)
            try:
                return found(query, *arguments, **options)
            except duckdb.CatalogException as error:
                missing = NOT_THERE.search(str(error))
                name = missing[1].lower() if missing else ""
                if name in DECLARED and not (self._folder / name).exists():
                    raise snapshots.not_found(self._folder / name) from error
                raise

        return checked

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def _prepare(self, query: Any) -> None:
        """Run the statements that wait for a word of the query: most queries need none of them, and they take time."""
        for word in [word for word in self._later if isinstance(query, str) and word in query.lower()]:
            self._connection.execute(self._later.pop(word)())

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
        known = {*self._tables, *self._damaged}
        try:
            parsed = [
                self._connection.get_table_names(statement.query)
                for statement in self._connection.extract_statements(query)
            ]
        except duckdb.Error:  # e.g. a statement that is none: DuckDB says so itself
            parsed = [set()]
        words = {word.lower() for names in parsed for word in names & known or WORD.findall(query)}
        return sorted(words & known)


def connect(
    at: date | str | None = None,
    lake: Lake | None = None,
    *,
    history: bool = False,
    tables: Collection[str] | None = None,
) -> LakeConnection:
    """Return a connection with one view per table: the row of each key that is known to be right.

    The views read the Parquet files of the newest version at the time of the call; connect again to see later
    commits. A table without a row yet is an empty view; one that was never written, or is damaged, is none, and a query
    that names it says so. Each file is verified once per process, before the first query that reads it. Times are shown
    in UTC.

    Every row that was ever stored, restated ones beside those that replace them and withdrawn forecasts among them, is
    in the view of the same name in the schema `history`: ``from history.bars``. What a column means and its unit is
    its comment: ``from columns_of('bars')``, or DuckDB's own ``duckdb_columns()``.

    Parameters
    ----------
    at
        Instant with a zone, a day, or either as text, see `lake.clock.instant_of`: each view holds what was known
        then, and `history` what had been stored of it. By default everything that is known.
    lake
        Lake to read, by default the one the environment names.
    history
        Every stored row in the views without a schema too.
    tables
        Names of the tables that get a view, which opens sooner where a query is known; by default every one.

    Raises
    ------
    ConfigError
        If `at` is no instant and no day.
    DamagedTableError
        By a query over a damaged table, naming the file and the command that repairs it.
    TableNotFoundError
        By a query over a table of `lake.tables` that was never written, naming the command that makes it.

    Examples
    --------
    >>> import tempfile
    >>> from datetime import timedelta
    >>> from pathlib import Path
    >>> import polars as pl
    >>> from lake.sql import connect
    >>> from lake.store import Lake
    >>> from lake.tables import BARS
    >>> from lake.sources import tiny_market
    >>> lake, bars = Lake(Path(tempfile.mkdtemp())), tiny_market(["AAA", "BBB"], sessions=5, seed=1)
    >>> _ = lake.merge(BARS, bars)
    >>> known = pl.col("known_time") + timedelta(days=30)
    >>> _ = lake.merge(BARS, bars.head(1).with_columns(known, volume=pl.lit(7.0)))  # the volume of one bar, corrected
    >>> count = "select count(*) from bars"
    >>> connect(lake=lake).sql(count).fetchone(), connect(lake=lake, history=True).sql(count).fetchone()
    ((10,), (11,))
    >>> connect("2012-12-28", lake).sql(count).fetchone()
    (8,)
    >>> connect(lake=lake).sql("select meaning, unit from columns_of('bars') where name = 'close'").fetchone()
    ('close adjusted for splits and dividends', 'currency')
    """
    import duckdb

    lake, instant = lake or Lake.open(), None if at is None else instant_of(at)
    wanted = None if tables is None else {*tables, FORECAST_DECISIONS.name}
    connection = duckdb.connect(":memory:", config={"autoinstall_known_extensions": False})
    connection.execute("SET TimeZone = 'UTC'")
    found, damaged = _tables(lake, wanted)
    withdrawn_ids = _withdrawn(lake, found, damaged)
    stored = dict[str, str]()
    for table in found.values():
        try:
            stored[table.name] = _stored(connection, table, instant)
            select = stored[table.name]
            _make_view(connection, table, select if history else _current(table, select, withdrawn_ids))
        except duckdb.Error as error:
            damaged[table.name] = (
                f"Table '{table.name}' is damaged: {str(error).splitlines()[0]}. `quantlake lake doctor "
                f"{table.name}` names the file, `quantlake lake repair {table.name}` goes back to the last good rows."
            )
    whole = [table for table in found.values() if table.name not in damaged]
    _describe(connection, whole)
    _HELD.append(connection)
    later = {HISTORY: lambda: _history(whole, stored), COMMENTS: lambda: _comments(connection)}
    return LakeConnection(connection, found, damaged, later, lake.root.absolute())


def _tables(lake: Lake, wanted: Collection[str] | None) -> tuple[dict[str, StoredTable], dict[str, str]]:
    """The wanted tables of a lake by name, by default all, and what is wrong with those that are damaged."""
    tables, damaged = dict[str, StoredTable](), dict[str, str]()
    for folder in lake.folders():
        if wanted is not None and folder.name not in wanted:
            continue
        try:
            table = _described(folder)
        except (DamagedTableError, NotReadyError) as error:
            damaged[folder.name] = str(error)
            continue
        if fault := _missing(table):
            damaged[table.name] = fault
        else:
            tables[table.name] = table
    return tables, damaged


def _describe(connection: "duckdb.DuckDBPyConnection", tables: Iterable[StoredTable]) -> None:
    """List what the columns mean, in which unit, where `columns_of` and the comments find it."""
    import pyarrow as pa

    fields = [(table.name, field.name, field.metadata or {}) for table in tables for field in table.schema]
    about = {
        "table_name": [table for table, _, _ in fields],
        "column_name": [name for _, name, _ in fields],
        "unit": [said.get(b"unit", b"").decode() for *_, said in fields],
        "meaning": [said.get(b"comment", b"").decode() for *_, said in fields],
    }
    connection.register("stated", pa.table({name: pa.array(values, pa.string()) for name, values in about.items()}))
    connection.execute("CREATE SCHEMA about; CREATE TABLE about.columns AS FROM stated")
    connection.unregister("stated")
    connection.execute(COLUMNS_OF)


def _comments(connection: "duckdb.DuckDBPyConnection") -> str:
    """Statements that write what each column means beside it."""
    return "; ".join(
        f'COMMENT ON COLUMN "{table}"."{name}" IS {_quoted(said)}'
        for table, name, said in connection.execute(COMMENT).fetchall()
    )


def _history(tables: Iterable[StoredTable], stored: Mapping[str, str]) -> str:
    """Statements that make the views of every stored row."""
    views = (
        f'CREATE VIEW {HISTORY}."{table.name}" AS '
        + (stored[table.name] if table.files else f'FROM temp."{table.name}"')
        for table in tables
    )
    return "; ".join([f"CREATE SCHEMA {HISTORY}", *views])


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


def _make_view(connection: "duckdb.DuckDBPyConnection", table: StoredTable, select: str) -> None:
    if table.files:
        connection.execute(f'CREATE VIEW "{table.name}" AS {select}')
    else:
        columns = [name for name in table.schema.names if name != YEAR]
        connection.register(table.name, table.schema.empty_table().select(columns))


def _stored(connection: "duckdb.DuckDBPyConnection", table: StoredTable, at: datetime | None) -> str:
    """Every row that was stored, or of those the ones that were known at an instant; none of a table without files."""
    if not table.files:
        return ""
    absent = "".join(f', NULL::{kind} AS "{name}"' for name, kind in _absent(connection, table).items())
    select = f"SELECT *{absent} FROM {_rows_of(table.files)}"  # noqa: S608 - our own paths and columns, quoted
    return select if at is None else f"{select} WHERE known_time <= TIMESTAMPTZ {_quoted(at.isoformat())}"


def _rows_of(files: Iterable[str]) -> str:
    # The folder name `year=2012` repeats event_time and is no column of the table.
    named = ", ".join(_quoted(file) for file in files)
    return f"read_parquet([{named}], hive_partitioning = false, union_by_name = true)"


def _absent(connection: "duckdb.DuckDBPyConnection", table: StoredTable) -> dict[str, str]:
    """DuckDB's types of the columns that the table gained in place and no file has yet, by name.

    One file is looked at first, and the others only where it lacks a column.
    """
    import duckdb

    declared = table.schema.empty_table()
    wanted = [name for name in table.schema.names if name != YEAR]
    for files in (table.files[-1:], table.files):
        found = {name for name, *_ in connection.execute(f"SELECT * FROM {_rows_of(files)} LIMIT 0").description}  # noqa: S608 - as above
        if found.issuperset(wanted):
            return {}
    kinds = zip(declared.column_names, duckdb.from_arrow(declared, connection=connection).types, strict=True)
    return {name: str(kind) for name, kind in kinds if name in wanted and name not in found}


def _current(table: StoredTable, stored: str, withdrawn_ids: Collection[str]) -> str:
    """Of the stored rows the newest known one of each key, without those of withdrawn forecasts."""
    select = f"SELECT * FROM ({stored})"  # noqa: S608 - made above
    if table.name in WITHDRAWABLE and withdrawn_ids:
        select += f" WHERE forecast_id NOT IN ({', '.join(map(_quoted, withdrawn_ids))})"
    if not table.restates:
        return select
    key = ", ".join(f'"{name}"' for name in table.key)
    return f"{select} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known_time DESC) = 1"


def _withdrawn(lake: Lake, tables: dict[str, StoredTable], damaged: dict[str, str]) -> list[str]:
    """Ids of the forecasts that were withdrawn; where that cannot be read, tables that hold any are damaged too."""
    concerned = WITHDRAWABLE & tables.keys()
    if not concerned:
        return []
    if FORECAST_DECISIONS.name not in damaged:
        return withdrawn(lake).to_list()
    for name in concerned:
        del tables[name]
        damaged[name] = f"It is not known which rows of '{name}' were withdrawn. {damaged[FORECAST_DECISIONS.name]}"
    return []


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
