"""The page of tables, generated from their specs: `python -m lake.document` writes docs/tables.md."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from lake.spec import Column, TableSpec
from lake.tables import TABLES

PAGE = Path(__file__).parents[1] / "docs" / "tables.md"

HEAD = """\
# Tables

Generated from the specs in `lake` by `python -m lake.document`; a test keeps it up to date. The table of features is on
the [page of features](features.md), because it is derived from their catalog.

Every table is a Delta table under `<home>/tables/<name>`, keeps `event_time` (when it was true) and `known_time` (when
we could know it), and is only ever added to. A table that *keeps restatements* may hold several rows for one key, each
known later than the one before; reading it as of a time gives the newest that was known then. Null means not known.
Every rule below is an expectation that the table is checked against.
"""


def tables_page(specs: Iterable[TableSpec] = TABLES) -> str:
    """Return the page as Markdown: each table with its key, its columns and their rules, in flow order."""
    return HEAD + "".join("".join(_section(spec)) for spec in specs)


def _section(spec: TableSpec) -> Iterator[str]:
    yield f"\n## {spec.name}\n\n{spec.meaning}\n\n"
    kept = "keeps restatements" if spec.restates else "never restated"
    files = "files by year" if spec.by_year else "one folder"
    yield f"Layer {spec.layer}; key `{', '.join(spec.key)}`; {kept}; {files}.\n"
    if spec.ordered:
        yield f"In each row {', '.join(f'`{smaller} <= {larger}`' for smaller, larger in spec.ordered)}.\n"
    yield "\n| column | type | unit | meaning | rule |\n|---|---|---|---|---|\n"
    for column in spec.columns:
        cells = (f"`{column.name}`", _type(column), column.unit, column.meaning, _rule(column))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _type(column: Column) -> str:
    return str(column.dtype).replace("Datetime(time_unit='us', time_zone='UTC')", "instant (us, UTC)")


def _rule(column: Column) -> str:
    rules = ["may be null"] if column.nullable else []
    if column.positive:
        rules.append("> 0")
    rules += [f">= {column.minimum:g}"] if column.minimum is not None else []
    rules += [f"<= {column.maximum:g}"] if column.maximum is not None else []
    if column.allowed:
        rules.append("one of " + ", ".join(f"`{name}`" for name in column.allowed))
    return "; ".join(rules)


if __name__ == "__main__":
    PAGE.write_text(tables_page(), encoding="utf-8")
