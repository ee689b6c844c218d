"""From deliveries to bars: at any pace the same table; restatements are seen from when they were known."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lake.calendars import close_of, next_closes
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConflictError, SourceError
from lake.ingest import ingest_bars, refine_to_lake, require_history
from lake.market import Market
from lake.sources import PackagedMarket, as_received, tiny_market
from lake.sources.packaged import PackagedFile
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import ACTIONS, BARS, QUARANTINE, RAW_BARS
from support.properties import examples
from support.raw_rows import RowSource

MARKET = tiny_market(["AAA", "BBB"], sessions=12, seed=5)
SESSIONS = MARKET["event_time"].unique().sort().to_list()
RAW = as_received(MARKET)
LATER = DEMO_START + timedelta(days=3)


def live(lake: Lake, source: RowSource | PackagedMarket, instants: Sequence[datetime]) -> Lake:
    """Let the market come to each instant in turn and do the day's work."""
    for at in instants:
        ingest_bars(lake, source, FixedClock(at))
        refine_to_lake(lake, FixedClock(at))
    return lake


def facts(lake: Lake, spec: TableSpec, at: datetime) -> pl.DataFrame:
    return lake.read_as_of(spec, at).drop("batch_id", strict=False)


def restated(rows: pl.DataFrame, session: datetime, known: datetime, **values: str) -> pl.DataFrame:
    """Return AAA's row of a session as delivered again later with other values."""
    row = rows.filter((pl.col("symbol") == "AAA") & (pl.col("event_time") == session))
    changes = {name: pl.lit(value) for name, value in values.items()}
    return row.with_columns(known_time=pl.lit(known), received_at=pl.lit(known), **changes)


@pytest.mark.parametrize("lookback", [timedelta(0), None])
def test_each_spelling_of_a_symbol_in_a_feed_is_one_symbol(lake: Lake, lookback: timedelta | None) -> None:
    spellings = pl.Series(["AAA", " aaa", "aa\u00ada", "Aaa\u200b"])
    place = pl.int_range(pl.len()).over("symbol") % len(spellings)
    written = RAW.with_columns(
        pl.when(pl.col("symbol") == "AAA")
        .then(pl.lit(spellings).gather(place))
        .otherwise(pl.lit("B/B"))
        .alias("symbol")
    )
    source = RowSource(written)
    object.__setattr__(source, "lookback", lookback)  # offered whole each time, or only what is new
    live(lake, source, [SESSIONS[5], DEMO_START])
    assert lake.read(BARS)["symbol"].to_list() == ["AAA"] * len(SESSIONS)
    assert lake.read(QUARANTINE)["reason"].to_list() == ["null_key"] * len(SESSIONS)


def test_a_source_is_asked_only_for_what_is_new(lake: Lake) -> None:
    source = RowSource(RAW)
    first = ingest_bars(lake, source, FixedClock(SESSIONS[8]))
    again = ingest_bars(lake, source, FixedClock(SESSIONS[8]))
    weekend = ingest_bars(lake, source, FixedClock(SESSIONS[8] + timedelta(minutes=1)))
    last = ingest_bars(lake, source, FixedClock(DEMO_START))
    assert [report.added for report in (first, again, weekend, last)] == [18, 0, 0, 6]
    assert again.skipped
    assert weekend.version == first.version
    assert again.details["reason"].startswith("'tiny' has no bar that is not stored")


def test_nothing_later_than_now_is_read(lake: Lake) -> None:
    live(lake, RowSource(RAW), [SESSIONS[5]])
    assert lake.report(BARS).last == SESSIONS[5]


def test_what_one_source_delivered_hides_nothing_of_another(lake: Lake) -> None:
    early, late = SESSIONS[3], SESSIONS[8]
    ahead = RowSource(RAW.filter(pl.col("symbol") == "AAA"), name="ahead")
    behind = RowSource(RAW.filter(pl.col("symbol") == "BBB"), name="behind")
    Market("both", source="ahead", other_sources=("behind",)).write(lake.root.parent)
    ingest_bars(lake, behind, FixedClock(early))
    ingest_bars(lake, ahead, FixedClock(late))
    assert ingest_bars(lake, behind, FixedClock(late)).added == 5
    stored = lake.read(RAW_BARS).group_by("source").len().sort("source")
    assert stored.rows() == [("ahead", 9), ("behind", 9)]


def test_bars_of_another_market_are_refused_before_anything_is_written(lake: Lake) -> None:
    ingest_bars(lake, RowSource(RAW, name="desk"), FixedClock(SESSIONS[3]))
    version = lake.version(RAW_BARS)
    with pytest.raises(ConflictError, match=r"holds bars of 'desk', and 'else' is no source of theirs.*market new"):
        ingest_bars(lake, RowSource(RAW, name="else"), FixedClock(SESSIONS[8]))
    assert lake.version(RAW_BARS) == version
    assert ingest_bars(lake, RowSource(RAW, name="desk"), FixedClock(SESSIONS[4])).added == 2


def test_a_named_year_is_read_up_to_now_and_no_further(lake: Lake) -> None:
    source, now = RowSource(RAW), FixedClock(SESSIONS[5])
    year = SESSIONS[5].year
    assert ingest_bars(lake, source, now, years=[year]).added == 2 * 6
    assert lake.report(RAW_BARS).last == SESSIONS[5], "bars of later sessions of the year were read"
    assert ingest_bars(lake, source, now, years=[year, year + 1]).skipped
    assert ingest_bars(lake, source, FixedClock(SESSIONS[6]), years=[year]).added == 2


DAYS = st.lists(st.sampled_from(SESSIONS), unique=True, max_size=5).map(sorted)


@examples(2, wide=40)
@given(days=DAYS)
def test_at_any_pace_the_bars_are_the_same(days: list[datetime], tmp_path_factory: pytest.TempPathFactory) -> None:
    source = RowSource(pl.concat([RAW, restated(RAW, SESSIONS[2], SESSIONS[4], close=RAW["close"][2], volume="7")]))
    slow = live(Lake(tmp_path_factory.mktemp("slow")), source, [*days, DEMO_START])
    fast = live(Lake(tmp_path_factory.mktemp("fast")), source, [DEMO_START])
    for at in SESSIONS:
        assert_frame_equal(facts(slow, BARS, at), facts(fast, BARS, at))


def test_the_last_sessions_of_the_real_market_come_one_by_one_as_at_once(
    packaged_lake_copy: Lake, tmp_path: Path
) -> None:
    days = next_closes(DEMO_START, 3)
    live(packaged_lake_copy, PackagedMarket(), days)
    at_once = live(Lake(tmp_path / "at_once"), PackagedMarket(), days[-1:])
    for spec in (BARS, ACTIONS, QUARANTINE):
        assert_frame_equal(facts(packaged_lake_copy, spec, days[-1]), facts(at_once, spec, days[-1]))
    assert packaged_lake_copy.report(BARS).rows == 79758 + 3 * 26


def test_years_delivered_in_any_order_give_the_same_bars(lake: Lake, tmp_path: Path) -> None:
    market = as_received(tiny_market(["AAA", "BBB"], sessions=600, seed=6))
    source, clock = RowSource(market), FixedClock(DEMO_START)
    for year in (2012, 2010, 2011):
        ingest_bars(lake, source, clock, years=[year])
        refine_to_lake(lake, clock, years=[year])
    at_once = live(Lake(tmp_path / "at_once"), source, [DEMO_START])
    assert_frame_equal(facts(lake, BARS, DEMO_START), facts(at_once, BARS, DEMO_START))
    assert ingest_bars(lake, source, clock).skipped


def test_a_restated_bar_is_seen_from_when_it_was_known(lake: Lake) -> None:
    correction = restated(RAW, SESSIONS[3], LATER, volume="123")
    source = RowSource(pl.concat([RAW, correction]))
    live(lake, source, [DEMO_START, LATER])
    bar = (pl.col("symbol") == "AAA") & (pl.col("event_time") == SESSIONS[3])
    before, after = (lake.read_as_of(BARS, at, where=bar) for at in (DEMO_START, LATER))
    assert after["volume"].to_list() == [123.0]
    assert_frame_equal(before, MARKET.filter(bar).with_columns(batch_id=before["batch_id"]))
    assert lake.report(BARS).rows == MARKET.height + 1


def test_a_restatement_that_repeats_adds_no_bar(lake: Lake) -> None:
    live(lake, RowSource(pl.concat([RAW, restated(RAW, SESSIONS[3], LATER)])), [DEMO_START, LATER])
    assert lake.report(RAW_BARS).rows == RAW.height + 1
    assert lake.report(BARS).rows == RAW.height
    assert lake.read(QUARANTINE).is_empty()


def test_a_second_row_known_at_the_same_time_is_a_duplicate_and_blocks_nothing(lake: Lake) -> None:
    lake.append(RAW_BARS, RAW, batch_id="tiny:0")
    refine_to_lake(lake, FixedClock(DEMO_START))
    twin = RAW.head(1).with_columns(batch_id=pl.lit("tiny:1"), volume=pl.lit("9"), received_at=pl.lit(LATER))
    lake.append(RAW_BARS, twin, batch_id="tiny:1")
    bars, _, quarantine = refine_to_lake(lake, FixedClock(DEMO_START))
    assert (bars.added, quarantine.added) == (0, 1)
    assert lake.read(QUARANTINE).select("batch_id", "reason").row(0) == ("tiny:1", "duplicate")


def test_a_split_that_a_restatement_undoes_is_withdrawn(lake: Lake) -> None:
    rows = RAW.with_columns(price_basis=pl.lit("as_traded"))
    half = (pl.col("close").cast(pl.Float64) / 2).cast(pl.String)
    wrong = pl.when((pl.col("symbol") == "AAA") & (pl.col("event_time") == SESSIONS[5])).then(half)
    source = RowSource(
        pl.concat(
            [
                rows.with_columns(wrong.otherwise("adj_close").alias("adj_close")),
                restated(rows, SESSIONS[5], LATER),
            ]
        )
    )
    live(lake, source, [DEMO_START])
    assert lake.read_as_of(ACTIONS, DEMO_START)["event_time"].to_list() == SESSIONS[5:7]
    live(lake, source, [LATER, LATER + timedelta(days=1)])
    assert lake.read_as_of(ACTIONS, LATER)["ratio"].to_list() == [1.0, 1.0]
    assert lake.report(ACTIONS).rows == 4


def actions(lake: Lake, symbol: str) -> dict[tuple[date, str], float]:
    rows = lake.read(ACTIONS, where=pl.col("symbol") == symbol).with_columns(pl.col("event_time").dt.date())
    return {
        (day, kind): amount or ratio
        for day, kind, amount, ratio in rows.select("event_time", "kind", "amount", "ratio").iter_rows()
    }


# As the companies announced them.
@pytest.mark.parametrize(
    ("symbol", "session", "kind", "value"),
    [
        ("AAPL", date(2000, 6, 21), "split", 2.0),
        ("AAPL", date(2005, 2, 28), "split", 2.0),
        ("AAPL", date(2012, 8, 9), "dividend", 2.65),
        ("AAPL", date(2012, 11, 7), "dividend", 2.65),
        ("MSFT", date(2003, 2, 18), "split", 2.0),
        ("MSFT", date(2003, 2, 19), "dividend", 0.08),
        ("MSFT", date(2004, 11, 15), "dividend", 3.08),  # 3.00 special and 0.08 ordinary
        ("IBM", date(2012, 11, 7), "dividend", 0.85),
        ("NVDA", date(2012, 11, 20), "dividend", 0.075 / 40),  # its first; the source counts in shares of 2025
    ],
)
def test_known_splits_and_dividends(packaged_lake: Lake, symbol: str, session: date, kind: str, value: float) -> None:
    assert actions(packaged_lake, symbol)[session, kind] == pytest.approx(value, rel=1e-4)


def test_no_action_is_invented(packaged_lake: Lake) -> None:
    counts = dict(packaged_lake.read(ACTIONS).group_by("symbol").len().iter_rows())
    # 51 quarters of IBM; MSFT's 36 dividends and a split; AAPL's two of each; NVDA's first dividend.
    assert counts == {"IBM": 51, "MSFT": 37, "AAPL": 4, "NVDA": 1}


def test_adjusted_bars_keep_their_shape(packaged_lake: Lake) -> None:
    bars = packaged_lake.read(BARS, where=pl.col("quality") == "full")
    low_to_high = pl.col("low") <= pl.min_horizontal("open", "close")
    assert bars.select(low_to_high.all(), (pl.max_horizontal("open", "close") <= pl.col("high")).all()).row(0) == (
        True,
        True,
    )
    traded = bars.select(
        a=pl.col("close") * pl.col("volume"), b=pl.col("close_unadjusted") * pl.col("volume_unadjusted")
    )
    assert traded["a"].to_numpy() == pytest.approx(traded["b"].to_numpy(), rel=1e-12)


def test_a_missing_data_package_says_what_to_install() -> None:
    file = PackagedFile("no-such-package", "data.csv", "MIT", "as_traded", lambda content: content)
    with pytest.raises(SourceError, match=r"'no-such-package' is not installed.*quantlake\[sample\]"):
        file.rows()


def test_a_data_file_that_is_gone_says_which_version_has_it() -> None:
    file = PackagedFile("arch", "arch/data/gone.csv", "NCSA", "as_traded", lambda content: content)
    with pytest.raises(SourceError, match=r"arch \d.* no longer carries arch/data/gone.csv.*constraints.txt"):
        file.rows()


def test_the_first_session_of_a_source_is_read_from_its_beginning() -> None:
    batch = PackagedMarket().read(None, datetime(2000, 3, 2, tzinfo=UTC))
    assert batch.rows["event_time"].unique().to_list() == [close_of(date(2000, 3, 1))]


def test_years_that_would_leave_a_gap_are_refused(lake: Lake) -> None:
    market, clock = PackagedMarket(), FixedClock(DEMO_START)
    require_history(lake, market, [2000, 2001])
    with pytest.raises(SourceError, match=r"bars from 2000-03-01 on are not stored.*all in one run"):
        require_history(lake, market, [2011, 2012])
    ingest_bars(lake, market, clock, years=[2000, 2001])
    require_history(lake, market, [2002])
    with pytest.raises(SourceError, match="bars from 2002-01-02 on"):
        require_history(lake, market, [2003])
