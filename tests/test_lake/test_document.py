"""The page of tables says what the specs say."""

from lake import document
from lake.tables import TABLES


def test_the_page_of_tables_is_up_to_date() -> None:
    assert document.PAGE.read_text(encoding="utf-8") == document.tables_page(), (
        "docs/tables.md does not say what lake/tables says; run `make docs`"
    )


def test_every_column_is_on_the_page() -> None:
    lines = document.tables_page().splitlines()
    assert [line[3:] for line in lines if line.startswith("## ")] == [spec.name for spec in TABLES]
    assert sum(line.startswith("| `") for line in lines) == sum(len(spec.columns) for spec in TABLES)
