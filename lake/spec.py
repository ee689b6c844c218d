"""Tables and columns as values: what they hold, in which unit, and what a row must satisfy."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from lake.errors import SchemaError, UnknownNameError

INSTANT = pl.Datetime("us", "UTC")
Layer = Literal["raw", "clean", "features", "decisions"]


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name, dtype, unit, meaning
        As a reader of the docs would want them; unit "" where there is none.
    nullable
        Whether "not known" is a legal value. It is written as null, never as NaN or zero.
    minimum, maximum
        Inclusive bounds of a sane value; `positive` makes zero insane as well.
    allowed
        The only values there are, for a column of names.
    is_origin
        Says where the row came from, not what it says: another origin of the same values is no restatement.
    """

    name: str
    dtype: pl.DataType
    unit: str
    meaning: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    positive: bool = False
    allowed: tuple[str, ...] = ()
    is_origin: bool = False


@dataclass(frozen=True)
class TableSpec:
    """One table.

    Parameters
    ----------
    key
        Columns that name a fact. A fact is stored once per `known_time` when the table keeps restatements.
    columns
        In order; `event_time` and `known_time` are always among them.
    restates
        True: a later `known_time` with other values is kept beside the earlier row, and `read_as_of` chooses.
        False: the first row of a key is the only one, and a different second one is a conflict.
    by_year
        Partition the files by the year of `event_time`.
    tolerance
        Relative difference below which a number computed again is the same number: the order of a sum may change its
        last digits from one processor or library version to the next.
    withdrawable
        Rows of a `forecast_id` that was withdrawn, see `lake.store.withdrawals`, are left out of every read.
    ordered
        Pairs of columns (smaller or equal, larger) that stand in this order in each row where both are known.
    """

    name: str
    layer: Layer
    meaning: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    restates: bool = True
    by_year: bool = False
    tolerance: float = 0.0
    withdrawable: bool = False
    ordered: tuple[tuple[str, str], ...] = (("event_time", "known_time"),)

    @property
    def may_gain_columns(self) -> bool:
        """Whether a row that lacks a column declared later may be a row still: some column may be null."""
        return any(column.nullable for column in self.columns if column.name not in self.key)

    def gains_in_place(self, names: Collection[str]) -> bool:
        """Whether rows stored before these columns were declared keep a null in them for good.

        What was received and what was decided cannot be made again. A table that follows from others can, and is,
        unless the columns say only where a row came from: a row made again would then be the same row.
        """
        return self.layer in {"raw", "decisions"} or all(self.column(name).is_origin for name in names)

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """Column names to Polars types, in order."""
        return {column.name: column.dtype for column in self.columns}

    @property
    def names(self) -> list[str]:
        """Column names, in order."""
        return [column.name for column in self.columns]

    def column(self, name: str) -> Column:
        """Return the column of that name."""
        for column in self.columns:
            if column.name == name:
                return column
        raise UnknownNameError(f"column of {self.name}", name, self.names)

    def empty(self) -> pl.DataFrame:
        """Return a frame with the table's columns and no row."""
        return pl.DataFrame(schema=self.schema)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with its columns in the table's order, or say what does not fit.

        Nothing is cast: a 4.7 meant for an integer, a time without a zone, a NaN or a null key is refused here,
        because a silent change would be found only by someone who trusted the table.

        Raises
        ------
        SchemaError
            Naming each missing or surplus column, type, null, NaN or infinity.
        """
        problems = [*_schema_problems(frame.schema, self.schema)]
        if not problems:
            problems = [*self._value_problems(frame)]
        if problems:
            raise SchemaError(f"The frame does not fit table '{self.name}': {'; '.join(problems)}.")
        return frame.select(self.names)

    def _value_problems(self, frame: pl.DataFrame) -> list[str]:
        problems = []
        for column in self.columns:
            values = frame[column.name]
            nulls = values.null_count()
            if nulls and (not column.nullable or column.name in self.key):
                problems.append(f"column '{column.name}' holds {nulls} nulls and may hold none")
            if column.dtype.is_float() and not values.is_finite().all():
                problems.append(f"column '{column.name}' holds {(~values.is_finite()).sum()} NaN or infinite values")
            if isinstance(column.dtype, pl.List) and (infinite := _infinite_within(values)):
                problems.append(f"column '{column.name}' holds {infinite} infinite values in its lists")
        return problems


def _infinite_within(lists: pl.Series) -> int:
    """Infinite values in lists of numbers; NaN is legal there, and means what null means elsewhere."""
    inner = lists.explode()
    return int(inner.is_infinite().sum()) if inner.dtype.is_float() else 0


def _schema_problems(found: Mapping[str, pl.DataType], expected: Mapping[str, pl.DataType]) -> list[str]:
    missing = [f"column '{name}' is missing" for name in expected if name not in found]
    surplus = [f"column '{name}' is not in the table" for name in found if name not in expected]
    wrong = [
        f"column '{name}' is {found[name]}, expected {dtype}"
        for name, dtype in expected.items()
        if name in found and found[name] != dtype
    ]
    return missing + surplus + wrong
