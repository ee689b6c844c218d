"""A wide table is checked in one pass, and says which of its columns breaks its bounds."""

import polars as pl
import pytest

from feature_repo.materialize.expectations import FEW, check_features
from lake.clock import DEMO_START
from lake.quality import kinds_of
from lake.spec import Column, TableSpec
from lake.store import Lake
from lake.tables import EVENT_TIME, KNOWN_TIME, SYMBOL

WIDE = TableSpec(
    "features_wide",
    "features",
    "more columns than are checked one by one",
    ("symbol", "event_time"),
    (
        SYMBOL,
        EVENT_TIME,
        KNOWN_TIME,
        *(
            Column(f"share_{n}", pl.Float64(), "", "a share", nullable=True, minimum=0, maximum=1)
            for n in range(FEW + 1)
        ),
    ),
)
NARROW = TableSpec(WIDE.name, WIDE.layer, WIDE.meaning, WIDE.key, WIDE.columns[:6])


def rows(spec: TableSpec, value: float | None) -> pl.DataFrame:
    shares = {column.name: [0.5, None] for column in spec.columns[3:]}
    shares["share_2"] = [value, 1.0]
    times = {"event_time": [DEMO_START] * 2, "known_time": [DEMO_START] * 2}
    return pl.DataFrame({"symbol": ["A", "B"], **times, **shares}, schema=spec.schema)


@pytest.mark.parametrize("spec", [WIDE, NARROW])
@pytest.mark.parametrize(("value", "is_fine"), [(1.0, True), (None, True), (0.0, True), (1.01, False), (-0.01, False)])
def test_bounds_hold_or_are_named(lake: Lake, spec: TableSpec, value: float | None, is_fine: bool) -> None:
    lake.merge(spec, rows(spec, value))
    found = check_features(lake, spec, DEMO_START)
    assert found.success is is_fine
    if not is_fine:
        (failed,) = found.failed
        assert (failed.kind, failed.columns, failed.rule) == ("bounds", ("share_2",), "share_2 >= 0 and share_2 <= 1")
        sign = "> 1" if value == 1.01 else "< 0"
        assert found.sentence().startswith(
            f"1 of 2 rows: A 2012-12-31 21:00 UTC, share_2 {value:g} {sign} (share_2 >= 0"
        )


def test_a_wide_table_has_few_expectations_and_says_the_rest_too(lake: Lake) -> None:
    lake.merge(WIDE, rows(WIDE, 0.5))
    assert set(kinds_of(WIDE)) == {f.kind for f in check_features(lake, WIDE, DEMO_START).findings}
    said = {finding.expectation for finding in check_features(lake, WIDE, DEMO_START).findings}
    assert {"expect_compound_columns_to_be_unique", "expect_column_values_to_not_be_null"} <= said
    assert len(check_features(lake, WIDE, DEMO_START).findings) < 10
