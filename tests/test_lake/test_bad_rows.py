"""Every kind of bad row is refused with its reason, and no good row is lost."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.clock import DEMO_START, FixedClock
from lake.ingest import refine_to_lake
from lake.refine import bars as refining
from lake.refine import refine_bars, rules
from lake.sources import as_received, tiny_market
from lake.store import Lake
from lake.tables import BARS, QUARANTINE, RAW_BARS
from support.raw_rows import BAD_ROWS, BadRow, plant_bad_rows

MARKET = tiny_market(["AAA", "BBB", "CCC"], sessions=60, seed=11)
RAW = as_received(MARKET)


def refused(rows: pl.DataFrame) -> dict[int, str]:
    return dict(refine_bars(rows).quarantine.select("row", "reason").iter_rows())


def test_good_rows_become_the_bars_they_were_made_from() -> None:
    refined = refine_bars(RAW)
    assert refined.quarantine.is_empty()
    assert_frame_equal(refined.bars, MARKET, rel_tol=1e-12)


@pytest.mark.parametrize("bad", BAD_ROWS, ids=lambda bad: bad.kind)
def test_each_kind_is_refused_with_its_reason(bad: BadRow) -> None:
    planted = plant_bad_rows(RAW, seed=1, kinds=[bad])
    assert refused(planted.rows) == dict(planted.expected.iter_rows())


def test_every_rule_has_a_kind_that_breaks_it() -> None:
    assert {bad.reason for bad in BAD_ROWS} == {*rules(), "duplicate"}
    assert len(BAD_ROWS) >= 30


@given(seed=st.integers(0, 2**32 - 1), copies=st.integers(1, 4))
def test_every_raw_row_is_either_a_bar_or_in_quarantine(seed: int, copies: int) -> None:
    planted = plant_bad_rows(RAW, seed, copies=copies)
    refined = refine_bars(planted.rows)
    assert refined.bars.height + refined.quarantine.height == planted.rows.height
    assert dict(refined.quarantine.select("row", "reason").iter_rows()) == dict(planted.expected.iter_rows())
    assert_frame_equal(refined.bars, refine_bars(RAW).bars)


@pytest.mark.parametrize("rule", sorted(rules()))
def test_without_its_rule_a_bad_row_is_missed(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = plant_bad_rows(RAW, seed=2, kinds=[bad for bad in BAD_ROWS if bad.reason == rule])
    weakened = {name: broken for name, broken in rules().items() if name != rule}
    monkeypatch.setattr(refining, "rules", lambda _: weakened)
    assert refused(planted.rows) != dict(planted.expected.iter_rows())


def test_a_close_only_row_needs_nothing_but_its_close() -> None:
    nothing = pl.lit(None, dtype=pl.String)
    rows = RAW.with_columns(
        pl.lit("adjusted_close_only").alias("price_basis"),
        *(nothing.alias(name) for name in ("open", "high", "low", "close", "volume")),
    )
    refined = refine_bars(rows)
    assert refined.quarantine.is_empty()
    assert refined.bars["quality"].unique().to_list() == ["close_only"]
    assert refined.bars.select("open", "high", "low", "volume", "close_unadjusted").null_count().row(0) == (180,) * 5
    assert refined.bars["close"].null_count() == 0


def test_a_late_close_is_accepted_in_any_zone() -> None:
    one = RAW.head(1).with_columns(pl.lit("2012-12-31T16:00:00-05:00").alias("stamp"), known_time=pl.lit(DEMO_START))
    assert refine_bars(one).bars["event_time"].to_list() == [DEMO_START]


def test_the_quarantine_keeps_what_came(lake: Lake) -> None:
    planted = plant_bad_rows(RAW, seed=3, kinds=[bad for bad in BAD_ROWS if bad.kind == "text in a number"])
    lake.append(RAW_BARS, planted.rows, batch_id="tiny:0")
    bars, _, quarantine = refine_to_lake(lake, FixedClock(DEMO_START))
    assert (bars.rows, quarantine.rows, bars.details["raw_rows"]) == (180, 1, 181)
    kept = lake.read(QUARANTINE).row(0, named=True)
    assert kept["table"] == BARS.name
    assert '"close":"twelve"' in kept["content"]
    again = refine_to_lake(lake, FixedClock(DEMO_START))
    assert [report.added for report in again] == [0, 0, 0]
