"""`quantlake sql`: DuckDB queries over the lake, given as text, in a file, by a pipe, or at a prompt."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    print_csv,
    print_json,
    print_line,
    require_lake,
)
from dagster_project.plurals import counted
from lake.clock import instant_of
from lake.errors import ConfigError, QuantlakeError, kind_of

if TYPE_CHECKING:
    from lake.sql import LakeConnection

HISTORY, MOST_HISTORY = "sql_history", 1_000
"""File of the home that keeps what was typed at the prompt, and how many lines of it."""
AT_ONCE = 10_000
"""Rows that are fetched at once for CSV, so that a table larger than memory can be written."""
HELP = """\
A query ends with a semicolon. Every table is a view: .tables lists them, .columns bars those of one.
.rows 100   show up to 100 rows        .lines    show each row as lines of name and value, with every column
.help       this                       .quit     leave, as Ctrl-D does"""

Query = Annotated[str | None, typer.Argument(help="A DuckDB query; every table is a view. A prompt when left out.")]
At = Annotated[
    str | None,
    typer.Option(help="What was known by the end of a day, 2012-06-29, or at an instant, 2012-06-29T20:00; in UTC."),
]
Rows = Annotated[int, typer.Option(min=1, help="Rows shown in the terminal; --json and --csv give all of them.")]


def sql(
    query: Query = None,
    *,
    at: At = None,
    file: Annotated[Path | None, typer.Option(help="File with one query.")] = None,
    rows: Rows = 40,
    as_lines: Annotated[bool, typer.Option("--lines", help="Show each row as lines of name and value.")] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Ask the lake in SQL: quantlake sql "select * from bars limit 5" --at 2012-06-29.

    A table is its current rows, `history.` before its name every stored one, restated ones included. Without a query,
    and without one on standard input, it asks for queries at a prompt.
    """
    from lake.settings import settings
    from lake.sql import connect

    require_lake(settings())
    asked = _query(query, file)
    with connect(None if at is None else instant_of(at, zone=UTC)) as connection:
        if asked is None:
            Prompt(connection, settings().home / HISTORY, rows, as_lines=as_lines).run()
        elif as_json or as_csv:
            _write(connection, asked, as_csv=as_csv)
        else:
            show(connection, asked, rows, as_lines=as_lines)


def show(connection: "LakeConnection", query: str, rows: int, *, as_lines: bool = False) -> None:
    """Print the rows of a query, at most so many, and how many there are."""
    names, found = _answer(connection, query)
    shown = list(found.fetchmany(rows + 1))
    table = DataTable.of_tuples("", _columns(names, shown), shown[:rows])
    if as_lines:
        print_line("\n".join(table.blocks()))
    else:
        console().print(table)
    if len(shown) > rows:
        print_line(f"First {counted(rows, 'row')}; --rows shows more, --csv and --json all of them.")
    elif not shown:
        print_line(f"No row; columns: {', '.join(names)}.")


class Prompt:
    """Queries one after another, with a history that is kept in the home.

    Parameters
    ----------
    connection
        To the lake, as it stood when the prompt began.
    history
        File that earlier lines are read from and kept in; where it cannot be written, nothing is kept.
    rows
        Most rows that are shown.
    as_lines
        Whether each row is shown as lines of name and value.
    """

    def __init__(self, connection: "LakeConnection", history: Path, rows: int, *, as_lines: bool) -> None:
        self.connection, self.history, self.rows, self.as_lines = connection, history, rows, as_lines

    def run(self) -> None:
        """Read and answer until `.quit` or the end of the input; Ctrl-C drops what was typed so far."""
        self._remember()
        print_line(HELP)
        typed = ""
        while True:
            try:
                line = input("... " if typed else "sql> ")
            except EOFError:
                print_line("")
                return
            except KeyboardInterrupt:
                print_line("")
                typed = ""
                continue
            typed = f"{typed}\n{line}".strip()
            if typed == ".quit":
                return
            if typed.startswith(".") or typed.endswith(";"):
                self.answer(typed)
                typed = ""

    def answer(self, typed: str) -> None:
        """Answer a query or a word with a dot; a mistake is one sentence, and the prompt goes on."""
        word, _, rest = typed.partition(" ")
        try:
            if word == ".tables":
                show(self.connection, "show tables", sys.maxsize - 1)
            elif word == ".columns" and rest:
                show(self.connection, f'describe "{rest.strip()}"', sys.maxsize - 1)
            elif word == ".rows" and rest.strip().isdigit() and int(rest) > 0:
                self.rows = int(rest)
            elif word == ".lines":
                self.as_lines = not self.as_lines
            elif word.startswith("."):
                print_line(HELP)
            else:
                show(self.connection, typed, self.rows, as_lines=self.as_lines)
        except QuantlakeError as error:
            print_line(f"{kind_of(error)}: {error}")

    def _remember(self) -> None:
        """Let the arrow keys bring back earlier lines, those of earlier prompts too."""
        import atexit
        import readline

        readline.set_history_length(MOST_HISTORY)
        with suppress(OSError):
            readline.read_history_file(self.history)
        atexit.register(_keep_history, self.history)


def _keep_history(path: Path) -> None:
    import readline

    with suppress(OSError):  # in a home that cannot be written to, nothing is kept
        readline.write_history_file(path)


def _query(query: str | None, file: Path | None) -> str | None:
    """The query that was given; None where a person is to be asked for one."""
    if query is not None and file is not None:
        raise ConfigError("A query and --file are given, and one query is answered. Leave one out.")
    if file is not None:
        try:
            return file.expanduser().read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The file {file} is no query: {error}. Give a file of UTF-8 text.") from error
    if query is None and not sys.stdin.isatty():
        return sys.stdin.read()
    return query


def _answer(connection: "LakeConnection", query: str) -> tuple[list[str], Any]:
    """Names of the columns of a query, and what its rows are fetched from.

    Raises
    ------
    ConfigError
        If the query cannot be answered, with what DuckDB says.
    """
    import duckdb

    try:
        answer = connection.sql(query)
        if answer is None:
            raise ConfigError("That gives no rows to show. Ask with select or from, e.g. from bars limit 5.")
        names = list(answer.columns)
        return names, answer.execute()
    except duckdb.Error as error:
        raise ConfigError(f"The query cannot be answered: {error}") from error


def _columns(names: list[str], rows: list[tuple[Any, ...]]) -> Iterator[ShownColumn]:
    """Columns of an answer: text wraps, and a narrow terminal does without the last ones."""
    for place, name in enumerate(names):
        is_text = any(isinstance(row[place], (str, list, dict)) for row in rows)
        yield ShownColumn(name, name, wraps=is_text, rank=place)


def _write(connection: "LakeConnection", query: str, *, as_csv: bool) -> None:
    """Print every row of a query."""
    names, found = _answer(connection, query)
    if as_csv:
        print_csv(names, _every(found))
    else:
        print_json([dict(zip(names, row, strict=True)) for row in _every(found)])


def _every(found: Any) -> Iterator[tuple[Any, ...]]:
    while batch := found.fetchmany(AT_ONCE):
        yield from batch
