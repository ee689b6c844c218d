"""A table's columns as Delta stores them, and whether a stored table still has them."""

from functools import cache

import pyarrow as pa
from deltalake import DeltaTable, PostCommitHookProperties, Schema

from lake.errors import SchemaError
from lake.spec import TableSpec
from lake.store.files import YEAR

HOOKS = PostCommitHookProperties(cleanup_expired_logs=False)
"""Delta's own clean-up of the log knows of no version in use; it is off in every commit."""


def partitions(spec: TableSpec) -> list[str]:
    """Columns that split the files of a table into folders."""
    return [YEAR] if spec.by_year else []


def delta_schema(spec: TableSpec) -> Schema:
    """Columns of a table as Delta declares them, meaning and unit beside each."""
    about = {column.name: {"comment": column.meaning, "unit": column.unit} for column in spec.columns}
    fields = [field.with_metadata(about[field.name]) for field in spec.empty().to_arrow().schema]
    return Schema.from_arrow(pa.schema([*fields, *(pa.field(name, pa.int32()) for name in partitions(spec))]))


@cache
def _declared_types(spec: TableSpec) -> dict[str, str]:
    return {field.name: str(field.type) for field in delta_schema(spec).fields}


def declare(table: DeltaTable, properties: dict[str, str]) -> None:
    """Commit nothing but properties of a table."""
    table.alter.set_table_properties(properties, raise_if_not_exists=False, post_commithook_properties=HOOKS)


def lacking_columns(spec: TableSpec, table: DeltaTable) -> frozenset[str]:
    """Return the columns that were declared after a table was made; none where the others differ from the declared."""
    declared, stored = _declared_types(spec), {field.name: str(field.type) for field in table.schema().fields}
    optional = {column.name for column in spec.columns if column.nullable} - {*spec.key}
    missing = frozenset(declared.keys() - stored.keys())
    return missing if stored.items() < declared.items() and missing <= optional else frozenset()


def add_columns(spec: TableSpec, table: DeltaTable) -> None:
    """Commit the columns that a table lacks; they are null in the rows that it has."""
    stored = {field.name for field in table.schema().fields}
    lacking = [field for field in delta_schema(spec).fields if field.name not in stored]
    table.alter.add_columns(lacking, post_commithook_properties=HOOKS)


def require_columns(spec: TableSpec, table: DeltaTable) -> None:
    """Refuse a table that was made with other columns: its files could not be read together."""
    declared, stored = _declared_types(spec), {field.name: str(field.type) for field in table.schema().fields}
    if declared != stored:
        odd = sorted({name for name, _ in declared.items() ^ stored.items()})
        way_out = (
            "Compute the table again: its next update does."
            if lacking_columns(spec, table)
            else "Move its folder away and make it again from the tables before it."
        )
        raise SchemaError(
            f"Table '{spec.name}' was made with other columns than it is declared with now: {', '.join(odd)} differ. "
            f"{way_out}"
        )
