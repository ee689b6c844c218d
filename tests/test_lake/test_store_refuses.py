"""Values that would be changed on their way into a table are refused, and nothing of their frame is stored."""

import decimal
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from lake.errors import SchemaError
from lake.spec import INSTANT, Column, TableSpec
from lake.store import Lake

COUNTS = TableSpec(
    name="counts",
    layer="clean",
    meaning="One column of each kind.",
    key=("symbol", "event_time", "row"),
    columns=(
        Column("symbol", pl.String(), "", "who", nullable=True),  # as part of the key it may still not be null
        Column("event_time", INSTANT, "UTC", "when"),
        Column("known_time", INSTANT, "UTC", "when we could know it"),
        Column("row", pl.Int64(), "", "which"),
        Column("price", pl.Float64(), "currency", "what", nullable=True),
        Column("window", pl.List(pl.Float32()), "", "values", nullable=True),
    ),
)
NOON = datetime(2020, 1, 6, 12, tzinfo=UTC)
GOOD = pl.DataFrame(
    {"symbol": ["A"], "event_time": [NOON], "known_time": [NOON], "row": [4], "price": [1.5], "window": [[0.5, None]]},
    schema=COUNTS.schema,
)
LOSSY: dict[str, tuple[str, Any]] = {
    "a fraction for a whole number": ("row", pl.lit(4.7)),
    "a whole number as a fraction": ("row", pl.lit(4.0)),
    "a number as text": ("row", pl.lit("4")),
    "a price as text": ("price", pl.lit("1.5")),
    "a price as a whole number": ("price", pl.lit(1, pl.Int64)),
    "a price in fewer digits": ("price", pl.lit(1.1, pl.Float32)),
    "a decimal price": ("price", pl.lit(decimal.Decimal("1.5"))),
    "not a number": ("price", pl.lit(float("nan"))),
    "infinity": ("price", pl.lit(float("inf"))),
    "minus infinity": ("price", pl.lit(float("-inf"))),
    "infinity in a list": ("window", pl.lit(pl.Series([[float("inf")]], dtype=pl.List(pl.Float32)))),
    "a time without a zone": ("event_time", pl.lit(NOON.replace(tzinfo=None))),
    "a time of another zone": ("event_time", pl.lit(NOON).dt.convert_time_zone("America/New_York")),
    "a time in coarser units": ("known_time", pl.lit(NOON).dt.cast_time_unit("ms")),
    "a date": ("event_time", pl.lit(NOON.date())),
    "no time": ("event_time", pl.lit(None, INSTANT)),
    "no name in a key": ("symbol", pl.lit(None, pl.String)),
    "no number in a key": ("row", pl.lit(None, pl.Int64)),
}


@pytest.mark.parametrize("kind", LOSSY)
@pytest.mark.parametrize("way", ["merge", "append"])
def test_what_would_be_changed_is_refused_whole(lake: Lake, kind: str, way: str) -> None:
    name, value = LOSSY[kind]
    frame = GOOD.with_columns(value.alias(name))
    with pytest.raises(SchemaError, match=rf"does not fit table 'counts': column '{name}'"):
        lake.merge(COUNTS, frame) if way == "merge" else lake.append(COUNTS, frame, batch_id="b")
    assert not lake.exists(COUNTS)


def test_every_value_comes_back_as_it_went_in(lake: Lake) -> None:
    exact = GOOD.with_columns(
        price=pl.lit(0.1 + 0.2), row=pl.lit(2**62 + 1), event_time=pl.lit(NOON.replace(microsecond=123_457))
    )
    lake.merge(COUNTS, exact.with_columns(window=pl.lit(pl.Series([[float("nan"), None]], dtype=pl.List(pl.Float32)))))
    back = lake.read(COUNTS)
    assert back.drop("window").equals(exact.drop("window"))
    assert str(back["window"].to_list()) == "[[nan, None]]"
    assert lake.report(COUNTS).last == NOON.replace(microsecond=123_457)


def test_a_table_made_with_other_columns_is_not_written_to(lake: Lake) -> None:
    lake.merge(COUNTS, GOOD)
    wider = replace(COUNTS, columns=(*COUNTS.columns, Column("note", pl.String(), "", "a later idea", nullable=True)))
    with pytest.raises(SchemaError, match="made with other columns than it is declared with now: note differ"):
        lake.merge(wider, GOOD.with_columns(pl.lit("x").alias("note"), row=pl.lit(5, pl.Int64)))
    assert lake.read(COUNTS).equals(GOOD)
