"""Tables as values: what a frame must be to fit, and that the declared tables make sense."""

from datetime import UTC, datetime

import polars as pl
import pytest

from lake.errors import SchemaError, UnknownNameError
from lake.sources import tiny_market
from lake.spec import INSTANT, TableSpec
from lake.tables import ACTIONS, BARS, TABLES

GOOD = tiny_market(["AAA"], sessions=3, seed=1)


def test_a_frame_that_fits_comes_back_in_the_order_of_the_table() -> None:
    assert BARS.conform(GOOD.select(reversed(BARS.names))).columns == BARS.names


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"close": pl.col("close").cast(pl.Int64)}, "column 'close' is Int64, expected Float64"),
        ({"close": pl.lit(float("nan"))}, "column 'close' holds 3 NaN or infinite values"),
        ({"volume": pl.lit(float("inf"))}, "column 'volume' holds 3 NaN or infinite values"),
        ({"symbol": pl.lit(None, pl.String)}, "column 'symbol' holds 3 nulls and may hold none"),
        (
            {"event_time": pl.col("event_time").dt.replace_time_zone(None)},
            r"'event_time' is Datetime.*expected Datetime",
        ),
        ({"event_time": pl.col("event_time").dt.cast_time_unit("ms")}, r"'event_time' is Datetime.*'ms'"),
        ({"mood": pl.lit("good")}, "column 'mood' is not in the table"),
    ],
)
def test_nothing_is_cast_or_guessed(change: dict[str, pl.Expr], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        BARS.conform(GOOD.with_columns(**change))


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(SchemaError, match="does not fit table 'bars': column 'low' is missing; column 'x' is not"):
        BARS.conform(GOOD.rename({"low": "x"}))


def test_a_null_is_legal_where_the_table_says_so() -> None:
    assert BARS.conform(GOOD.with_columns(volume=pl.lit(None, pl.Float64)))["volume"].null_count() == 3


def test_an_unknown_column_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"no column of bars 'clsoe'\. Did you mean close"):
        BARS.column("clsoe")


def test_an_empty_frame_has_the_schema() -> None:
    assert dict(ACTIONS.empty().schema) == ACTIONS.schema


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_each_declared_table_can_keep_time(spec: TableSpec) -> None:
    assert spec.schema["event_time"] == spec.schema["known_time"] == INSTANT
    assert not spec.column("event_time").nullable
    assert not spec.column("known_time").nullable
    assert all(not spec.column(name).nullable for name in spec.key)
    assert {name for pair in spec.ordered for name in pair} <= set(spec.names)
    assert len(set(spec.names)) == len(spec.names)
    assert "year" not in spec.names
    assert all(column.meaning for column in spec.columns)


def test_table_names_are_unique() -> None:
    assert len({spec.name for spec in TABLES}) == len(TABLES)


def test_an_instant_is_in_utc() -> None:
    assert pl.Series([datetime(2020, 1, 1, tzinfo=UTC)], dtype=INSTANT).dtype.time_zone == "UTC"  # type: ignore[attr-defined]
