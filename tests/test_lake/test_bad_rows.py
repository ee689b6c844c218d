"""Every kind of bad row is refused with its reason, and no good row is lost."""

from datetime import UTC, datetime

import numpy as np
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


@pytest.mark.parametrize("names", [("open",), ("high",), ("low",), ("open", "high", "low")], ids=" ".join)
@pytest.mark.parametrize("nothing", ["0", "0.0", None])
def test_a_price_of_zero_is_not_known_and_the_close_is_kept(names: tuple[str, ...], nothing: str | None) -> None:
    """Vendors write 0 where no trade was printed, e.g. for the open of an illiquid share or of a fund."""
    rows = RAW.with_columns(pl.lit(nothing, dtype=pl.String).alias(name) for name in names)
    refined = refine_bars(rows)
    assert refined.quarantine.is_empty()
    assert_frame_equal(refined.bars.select("close", "volume"), MARKET.select("close", "volume"), rel_tol=1e-12)
    assert refined.bars.select("open", "high", "low").null_count().row(0) == (180,) * 3
    assert refined.bars["quality"].unique().to_list() == ["close_only"]


def test_prices_scaled_in_another_order_are_within_their_range() -> None:
    """A factor of 0.1 x 3 and one of 0.3 differ in the last bit, so that the high lies below the close."""
    close = MARKET["close"].to_numpy()
    ours, theirs = close * 0.1 * 3.0, close * (0.1 * 3.0)
    above, below = (np.where(np.arange(close.size) % 2, *pair) for pair in ((ours, theirs), (theirs, ours)))
    rows = RAW.with_columns(
        pl.Series(name, [repr(float(value)) for value in values])
        for name, values in {"open": above, "high": below, "low": above, "close": above, "adj_close": above}.items()
    )
    assert (above != below).any()
    refined = refine_bars(rows)
    assert refined.quarantine.is_empty()
    low, high = refined.bars["low"], refined.bars["high"]
    for name in ("open", "close"):
        assert ((low <= refined.bars[name]) & (refined.bars[name] <= high)).all()


def test_a_range_is_not_more_tolerant_than_arithmetic_needs() -> None:
    high = (pl.col("close").cast(pl.Float64) * (1 - 1e-7)).cast(pl.String)
    rows = RAW.with_columns(high.alias("high"), high.alias("low"), open=high)
    assert refine_bars(rows).quarantine["reason"].unique().to_list() == ["price_outside_range"]


def test_another_venue_has_other_sessions() -> None:
    """Tokyo closed at 15:00 its time on 2012-12-24, when New York closed early; and kept the 31st as a holiday."""
    tokyo = RAW.head(1).with_columns(stamp=pl.lit("2012-12-24T15:00:00+09:00"), known_time=pl.lit(DEMO_START))
    assert refine_bars(tokyo).quarantine["reason"].to_list() == ["not_a_session_close"]
    expected = refine_bars(tokyo, calendar="XTKS").quarantine["reason"].to_list()
    assert expected == ["not_a_session_close"], "a holiday of Tokyo"
    friday = tokyo.with_columns(stamp=pl.lit("2012-12-21T15:00:00+09:00"))
    assert refine_bars(friday, calendar="XTKS").bars["event_time"].to_list() == [datetime(2012, 12, 21, 6, tzinfo=UTC)]


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
