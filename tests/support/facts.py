"""The smallest table there can be, for tests of the store."""

import polars as pl

from lake.spec import INSTANT, Column, TableSpec

FACTS = TableSpec(
    name="facts",
    layer="clean",
    meaning="Facts that are restated.",
    key=("symbol", "event_time"),
    by_year=True,
    columns=(
        Column("symbol", pl.String(), "", "who"),
        Column("event_time", INSTANT, "UTC", "when"),
        Column("known_time", INSTANT, "UTC", "when we could know it"),
        Column("value", pl.Float64(), "", "what", nullable=True),
    ),
)
