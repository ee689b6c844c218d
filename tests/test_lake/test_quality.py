"""Suites follow from the specs: each rule that a table declares is checked, and found when it is broken."""

import re

import polars as pl
import pytest

from lake.clock import DEMO_START
from lake.errors import DataQualityError
from lake.quality import broken_rules, check_frame, check_table, command_of, kinds_of, rules_of
from lake.sources import tiny_market
from lake.spec import TableSpec
from lake.sql import connect
from lake.store import Lake
from lake.tables import ACTIONS, BARS, FORECASTS, RAW_BARS, TABLES

GOOD = tiny_market(["AAA", "BBB"], sessions=6, seed=3)
FIRST = pl.int_range(pl.len()) == 0


def broken(**values: object) -> pl.DataFrame:
    """Return the good bars with the first row changed."""
    return GOOD.with_columns(
        pl.when(FIRST).then(pl.lit(value, dtype=BARS.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )


def failures(spec: TableSpec, frame: pl.DataFrame) -> set[tuple[str, tuple[str, ...]]]:
    """Return what Great Expectations finds; the rules as expressions must find the same."""
    found = {(finding.expectation, finding.columns) for finding in check_frame(spec, frame, DEMO_START).failed}
    assert {(rule.expectation, rule.columns) for rule in broken_rules(spec, frame)} == found
    return found


def test_the_packaged_market_meets_every_expectation(packaged_lake: Lake) -> None:
    for spec in (RAW_BARS, BARS, ACTIONS):
        findings = check_table(packaged_lake, spec, DEMO_START)
        assert findings.success, findings.failed
        assert findings.rows == packaged_lake.report(spec).rows
        assert findings.require_success() is findings


@pytest.mark.parametrize(
    ("values", "expectation", "columns"),
    [
        ({"close": None}, "expect_column_values_to_not_be_null", ("close",)),
        ({"low": 0.0}, "expect_column_values_to_be_between", ("low",)),
        ({"volume": -1.0}, "expect_column_values_to_be_between", ("volume",)),
        ({"quality": "dubious"}, "expect_column_values_to_be_in_set", ("quality",)),
        ({"high": 0.5}, "expect_column_pair_values_a_to_be_greater_than_b", ("close", "high")),
        ({"event_time": DEMO_START}, "expect_column_pair_values_a_to_be_greater_than_b", ("event_time", "known_time")),
    ],
)
def test_a_broken_rule_is_found(values: dict[str, object], expectation: str, columns: tuple[str, ...]) -> None:
    assert (expectation, columns) in failures(BARS, broken(**values))
    assert failures(BARS, GOOD) == set()


def test_a_doubled_key_is_found() -> None:
    doubled = pl.concat([GOOD, GOOD.head(1)])
    assert failures(BARS, doubled) == {("expect_compound_columns_to_be_unique", ("symbol", "event_time"))}


def test_nulls_that_a_table_allows_are_no_finding() -> None:
    assert failures(BARS, broken(open=None, high=None, low=None, volume=None)) == set()


def test_a_failed_table_says_what_and_what_to_do() -> None:
    findings = check_frame(BARS, broken(volume=-1.0), DEMO_START)
    (failed,) = findings.failed
    assert (failed.kind, failed.rule, failed.unexpected) == ("bounds", "volume >= 0", 1)
    said = findings.sentence()
    assert said.startswith("1 of 12 rows: AAA 2012-12-21 21:00 UTC, volume -1 < 0 (volume >= 0). Next: `quantlake sql ")
    assert said.endswith("` shows the row. Then correct it at its source and deliver it again with a later known_time.")
    with pytest.raises(
        DataQualityError, match=r"'bars' breaks 1 of \d+ rules as known at 2012-12-31 21:00 UTC"
    ) as raised:
        findings.require_success()
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"close": None}, "close is null (close is known)"),
        ({"low": 0.0}, "low 0 = 0 (low > 0)"),
        ({"quality": "dubious"}, "quality is 'dubious' (quality is one of "),
        ({"close": 210.89, "high": 71.28, "low": 7.0}, "close 210.89 > high 71.28 (high >= close)"),
        (
            {"event_time": DEMO_START},
            "event_time 2012-12-31 21:00 UTC > known_time 2012-12-21 21:00 UTC (known_time >=",
        ),
    ],
)
def test_a_sentence_names_row_values_and_rule(values: dict[str, object], sentence: str) -> None:
    said = check_frame(BARS, broken(**values), DEMO_START).sentence()
    assert said.startswith("1 of 12 rows: AAA 2012-12-")
    assert sentence in said


def test_a_doubled_key_is_described_once_with_its_count() -> None:
    said = check_frame(BARS, pl.concat([GOOD, GOOD.head(1)]), DEMO_START).sentence()
    assert said.startswith(
        "2 of 13 rows, the first: AAA 2012-12-21 21:00 UTC, stored 2 times (one row per symbol, event_time). Next: "
    )


def test_examples_are_those_of_the_lowest_keys_whatever_the_order_of_the_rows() -> None:
    frame = GOOD.with_columns(volume=pl.lit(-1.0))
    (found,) = check_frame(BARS, frame.reverse(), DEMO_START).failed
    assert (found.unexpected, len(found.examples)) == (12, 5)
    assert found.examples[0].startswith("AAA 2012-12-21 21:00 UTC, ")


def test_few_rules_are_named_and_the_others_counted() -> None:
    frame = broken(open=-1.0, high=-1.0, volume=-1.0, close=-1.0)
    said = check_frame(BARS, frame, DEMO_START).sentence()
    assert said.count("of 12 rows") == 3
    assert re.search(r"; \d+ further rules are broken\. Next: ", said), said


def test_the_query_of_a_finding_shows_its_row(lake: Lake) -> None:
    """Also where the name of a symbol holds what DuckDB or a shell would read as more than text."""
    odd = "O'B$R"
    lake.merge(BARS, broken(volume=-1.0).with_columns(symbol=pl.col("symbol").replace("AAA", odd)))
    (found,) = check_table(lake, BARS, DEMO_START).failed
    (row,) = connect(lake=lake).sql(found.query).pl().to_dicts()
    assert (row["symbol"], row["volume"]) == (odd, -1.0)
    assert command_of(found.query).startswith("quantlake sql \"SELECT * FROM bars WHERE symbol = 'O''B\\$R' AND ")


def test_findings_are_told_apart_by_the_kind_of_their_rule() -> None:
    report = check_frame(BARS, broken(volume=-1.0), DEMO_START)
    assert [report.of_kind(kind).success for kind in kinds_of(BARS)] == [True, False, True, True, True]
    assert sum(len(report.of_kind(kind).findings) for kind in kinds_of(BARS)) == len(report.findings)


def test_a_restatement_cures_a_table(lake: Lake) -> None:
    from datetime import timedelta

    lake.merge(BARS, broken(volume=-1.0))
    assert not check_table(lake, BARS, DEMO_START).success
    later = DEMO_START + timedelta(days=1)
    lake.merge(BARS, GOOD.head(1).with_columns(known_time=pl.lit(later)))
    assert check_table(lake, BARS, later).success
    assert not check_table(lake, BARS, DEMO_START).success


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_every_table_has_a_suite_and_an_empty_one_meets_it(spec: TableSpec) -> None:
    findings = check_frame(spec, spec.empty(), DEMO_START)
    assert findings.success
    assert sorted(f.expectation for f in findings.findings) == sorted(rule.expectation for rule in rules_of(spec))
    assert broken_rules(spec, spec.empty()) == []
    assert len(findings.findings) > len(spec.key)


def test_quantiles_out_of_order_are_found() -> None:
    columns = {column.name: pl.Series([_any(column.dtype)], dtype=column.dtype) for column in FORECASTS.columns}
    named = {"kind": pl.lit("served"), "price_basis": pl.lit("as_traded")}
    frame = pl.DataFrame(columns).with_columns(**named, p10=pl.lit(0.2), p50=pl.lit(0.1), p90=pl.lit(0.3))
    assert failures(FORECASTS, frame) == {("expect_column_pair_values_a_to_be_greater_than_b", ("p10", "p50"))}


def _any(dtype: pl.DataType) -> object:
    if dtype == pl.String:
        return "x"
    return DEMO_START if dtype.is_temporal() else True if dtype == pl.Boolean else 1
