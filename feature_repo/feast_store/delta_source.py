"""One Delta table of the lake as a Feast data source."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import polars as pl
from feast.data_source import DataSource
from feast.protos.feast.core.DataSource_pb2 import DataSource as DataSourceProto
from feast.repo_config import RepoConfig
from feast.value_type import ValueType

from feature_repo.catalog import spec_of
from lake.spec import Column

KNOWN_TIME_US = "known_time_us"
"""Feature of every view: when the row was known, in microseconds since 1970, UTC. Feast's own timestamp type has whole
seconds, too coarse to say which of two restatements is the later one."""


class DeltaSource(DataSource):
    """A table of the lake, or the rows of it that hold given values.

    Parameters
    ----------
    table
        Name of a table; its `event_time` is Feast's event timestamp and its `known_time` the created timestamp.
    equals
        Values that a row must hold to belong to the source, by column.
    name
        Name in the registry, by default that of the table.

    Raises
    ------
    UnknownNameError
        If there is no such table.
    """

    def __init__(self, table: str, *, equals: dict[str, str] | None = None, name: str | None = None) -> None:
        self.spec = spec_of(table)
        self.equals = equals or {}
        super().__init__(
            name=name or table,
            timestamp_field="event_time",
            created_timestamp_column="known_time",
            description=self.spec.meaning,
        )

    def narrow(self, rows: pl.LazyFrame) -> pl.LazyFrame:
        """Keep the rows of the source, and say `KNOWN_TIME_US` of each."""
        belongs = [pl.col(column) == value for column, value in self.equals.items()]
        rows = rows.filter(*belongs) if belongs else rows
        return rows.with_columns(pl.col("known_time").dt.epoch("us").alias(KNOWN_TIME_US))

    def source_type(self) -> DataSourceProto.SourceType.ValueType:
        """Say that Feast does not know this kind of source by itself."""
        return DataSourceProto.CUSTOM_SOURCE

    def validate(self, config: RepoConfig) -> None:
        """Accept the source: its table is known, or it could not have been made. It need not hold rows yet."""

    def get_table_column_names_and_types(self, config: RepoConfig) -> Iterable[tuple[str, str]]:  # noqa: ARG002 - Feast's signature
        """Column names and their Polars types."""
        return [(column.name, str(column.dtype)) for column in self.spec.columns]

    @staticmethod
    def source_datatype_to_feast_value_type() -> Callable[[str], ValueType]:
        """Return a function from the type names above to Feast's value types."""
        names = {str(dtype): value for dtype, value in VALUE_TYPES.items()}
        return lambda dtype: names[dtype]

    @staticmethod
    def from_proto(data_source: DataSourceProto) -> "DeltaSource":
        """Read the source back from the registry."""
        options = json.loads(data_source.custom_options.configuration)
        return DeltaSource(options["table"], equals=options["equals"], name=data_source.name)

    def _to_proto_impl(self) -> DataSourceProto:
        options = json.dumps({"table": self.spec.name, "equals": self.equals}, sort_keys=True).encode()
        return DataSourceProto(
            name=self.name,
            type=DataSourceProto.CUSTOM_SOURCE,
            data_source_class_type="feature_repo.feast_store.delta_source.DeltaSource",
            custom_options=DataSourceProto.CustomSourceOptions(configuration=options),
            timestamp_field=self.timestamp_field,
            created_timestamp_column=self.created_timestamp_column,
            description=self.description,
        )

    def __eq__(self, other: object) -> bool:
        """Two sources are equal when they say the same of the same table."""
        return isinstance(other, DeltaSource) and bool(super().__eq__(other)) and self.equals == other.equals

    def __hash__(self) -> int:
        """Agree with equality."""
        return int(super().__hash__())


VALUE_TYPES: dict[Any, ValueType] = {
    pl.String(): ValueType.STRING,
    pl.Float64(): ValueType.DOUBLE,
    pl.Int64(): ValueType.INT64,
    pl.Int32(): ValueType.INT32,
    pl.Boolean(): ValueType.BOOL,
    pl.List(pl.Int32()): ValueType.INT32_LIST,
    pl.List(pl.Float32()): ValueType.FLOAT_LIST,
    pl.List(pl.Float64()): ValueType.DOUBLE_LIST,
    pl.List(pl.String()): ValueType.STRING_LIST,
    pl.Datetime("us", "UTC"): ValueType.UNIX_TIMESTAMP,
}


def value_type(column: Column) -> ValueType:
    """Feast's type of a column."""
    return VALUE_TYPES[column.dtype]
