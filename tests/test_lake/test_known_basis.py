"""How it is known when bars were known: said by the source, kept through restatements, summed up in a sentence."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lake.calendars import closes
from lake.clock import DEMO_START, FixedClock
from lake.errors import SourceError
from lake.ingest import ingest_bars, ingest_sources, last_deliveries, refine_to_lake, release
from lake.knowledge import NOT_SAID, KnownBases, known_bases
from lake.market import DEMO, Market
from lake.refine import refine_bars
from lake.sources import BarBatch, GeneratedMarket, as_received, caveats_of, tiny_market
from lake.spec import TableSpec
from lake.store import Lake, newest_known
from lake.tables import BARS, RAW_ACTIONS, RAW_BARS
from support.raw_rows import RowSource
from support.vintage_feed import SESSIONS, Action, VintageFeed

CLOSES = closes().filter(pl.col("event_time") <= DEMO_START)["event_time"].tail(6).to_list()
ROWS = as_received(tiny_market(["AAA", "BBB"], sessions=6, seed=1))
MINUTES = timedelta(minutes=15)


def older(spec: TableSpec) -> TableSpec:
    """The table as it was declared before the basis was kept."""
    return replace(spec, columns=tuple(column for column in spec.columns if column.name != "known_basis"))


class Whole(RowSource):
    """A source that is offered whole each time."""

    lookback = None

    def read(self, after: datetime | None, until: datetime) -> BarBatch:  # noqa: ARG002 - a source is asked so
        """Return all rows known by then."""
        return super().read(None, until)


def bases(lake: Lake, symbol: str = "AAA") -> list[str | None]:
    rows = newest_known(lake.read(BARS, where=pl.col("symbol") == symbol))
    return rows.sort("event_time")["known_basis"].to_list()


def run(lake: Lake, source: RowSource | VintageFeed | GeneratedMarket, now: datetime) -> None:
    ingest_bars(lake, source, FixedClock(now))
    refine_to_lake(lake, FixedClock(now))


def test_a_bar_has_the_basis_of_its_row(lake: Lake) -> None:
    said = ["stated", "scheduled", "assumed", None, "stated", "assumed"]
    told = ROWS.filter(pl.col("symbol") == "AAA").with_columns(pl.Series("known_basis", said))
    run(lake, RowSource(told), CLOSES[-1])
    assert bases(lake) == said
    assert lake.read(RAW_BARS).sort("event_time")["known_basis"].to_list() == said


def test_what_comes_late_or_is_corrected_was_observed(lake: Lake) -> None:
    told = ROWS.with_columns(pl.lit("assumed").alias("known_basis"))
    is_late = (pl.col("symbol") == "AAA") & (pl.col("event_time") == CLOSES[1])
    is_corrected = (pl.col("symbol") == "AAA") & (pl.col("event_time") == CLOSES[2])
    run(lake, Whole(told.filter(~is_late)), CLOSES[4])
    assert bases(lake) == ["assumed"] * 4
    volume = pl.when(is_corrected).then(pl.lit("7")).otherwise("volume").alias("volume")
    run(lake, Whole(told.with_columns(volume)), CLOSES[5])
    assert bases(lake) == ["assumed", "observed", "observed", "assumed", "assumed", "assumed"]
    first = lake.read_as_of(BARS, CLOSES[4], where=is_corrected)
    assert first["known_basis"].to_list() == ["assumed"], "the version before keeps the basis that it was known on"
    assert known_bases(lake, CLOSES[5]).counts == {"assumed": 11, "observed": 2}
    assert known_bases(lake, CLOSES[4]).counts == {"assumed": 9}


def test_a_bar_told_again_by_a_late_action_has_the_basis_of_the_rows_that_show_it(lake: Lake) -> None:
    """Two sessions late: the bars since the ex-date move to the basis of the split, known from when it was heard of."""
    feed = VintageFeed({"TWO": {30: Action(ratio=2.0, late=2)}}, "split_adjusted", timedelta(days=9))
    for last in (25, 29, 30, 31, 32, 33):
        run(lake, feed, SESSIONS[last])
    again = lake.read(BARS).filter(pl.len().over("symbol", "event_time") > 1).sort("event_time", "known_time")
    assert again["event_time"].unique().to_list() == [SESSIONS[30], SESSIONS[31]]
    first, second = again.filter(pl.col("event_time") == SESSIONS[30]).to_dicts()
    assert (first["known_basis"], first["known_time"]) == ("assumed", SESSIONS[30])
    assert (second["known_basis"], second["known_time"] >= SESSIONS[32]) == ("observed", True)


def test_a_bar_that_a_person_releases_was_observed_then(lake: Lake) -> None:
    prices = {name: pl.col(name).cast(pl.Float64) for name in ("open", "high", "low", "close", "adj_close")}
    is_jump = (pl.col("symbol") == "AAA") & (pl.col("event_time") >= CLOSES[3])
    jumping = [
        pl.when(is_jump).then(price * 9).otherwise(price).cast(pl.String).alias(n) for n, price in prices.items()
    ]
    run(lake, RowSource(ROWS.with_columns(*jumping)), CLOSES[-1])
    assert bases(lake) == ["stated"] * 3
    now = FixedClock(CLOSES[-1] + MINUTES)
    release(lake, "AAA", CLOSES[3], now)
    refine_to_lake(lake, now)
    assert bases(lake) == ["stated"] * 3 + ["observed"] * 3


def test_of_two_sources_a_bar_has_the_basis_of_the_one_that_gives_it(tmp_path: Path) -> None:
    Market("desk", "first", first_year=2012, other_sources=("second",)).write(tmp_path)
    lake = Lake(tmp_path / "tables")
    gap = (pl.col("symbol") == "AAA") & (pl.col("event_time") == CLOSES[2])
    sources = (
        Whole(ROWS.filter(~gap).with_columns(pl.lit("assumed").alias("known_basis")), "first"),
        Whole(ROWS.with_columns(pl.lit("scheduled").alias("known_basis")), "second"),
    )
    clock = FixedClock(CLOSES[-1])
    ingest_sources(lake, sources, clock)
    refine_to_lake(lake, clock)
    assert bases(lake) == ["assumed", "assumed", "scheduled", "assumed", "assumed", "assumed"]
    later = FixedClock(CLOSES[-1] + MINUTES)
    moved = ROWS.with_columns(pl.lit("assumed").alias("known_basis")).with_columns(
        pl.when(gap).then(pl.lit("7")).otherwise("volume").alias("volume")
    )
    ingest_sources(lake, (Whole(moved, "first"), sources[1]), later)
    refine_to_lake(lake, later)
    assert bases(lake)[2] == "observed", "what the first source says late is known from then"


def test_actions_are_assumed_from_their_ex_date_until_they_come_late(lake: Lake) -> None:
    stated = pl.DataFrame(
        {"symbol": "AAA", "ex_date": [close.date() for close in CLOSES[1:3]], "kind": "split", "ratio": ["2", "3"]}
    ).with_columns(
        *(pl.lit(None, pl.String).alias(name) for name in ("amount", "currency")),
        pl.lit("split_adjusted").alias("price_basis"),
        pl.lit("tiny").alias("source"),
        pl.lit(CLOSES[3]).cast(RAW_ACTIONS.schema["received_at"]).alias("received_at"),
    )

    class Stating(RowSource):
        def read(self, after: datetime | None, until: datetime) -> BarBatch:
            batch = super().read(after, until)
            return replace(batch, actions=stated if until > CLOSES[3] else stated.head(1))

    for now in (CLOSES[3], CLOSES[4]):
        ingest_bars(lake, Stating(ROWS), FixedClock(now))
    found = lake.read(RAW_ACTIONS).sort("ex_date").select("known_basis", "known_time").rows()
    assert [basis for basis, _ in found] == ["assumed", "observed"]
    assert found[1][1] == CLOSES[4]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known_basis": "guessed"}, "have the known_basis 'guessed'. Say one of stated, scheduled, observed, assumed"),
        ({"known_basis": "observed"}, "observed, and name 2012-12-21 21:00, before they were received at 2012-12-31"),
    ],
)
def test_a_basis_that_cannot_be_is_refused_and_nothing_is_stored(
    lake: Lake, change: dict[str, str], message: str
) -> None:
    told = ROWS.with_columns(pl.lit(value).alias(name) for name, value in change.items())
    with pytest.raises(SourceError, match=message.replace(".", r"\.")):
        ingest_bars(lake, RowSource(told), FixedClock(DEMO_START))
    assert not lake.exists(RAW_BARS)
    assert [each["outcome"] for each in last_deliveries(lake)] == ["failed"]


def test_a_home_of_before_opens_gains_the_column_in_place_and_says_what_it_does_not_know(lake: Lake) -> None:
    source, before = GeneratedMarket.ending(symbols=2, sessions=6, until=DEMO_START), CLOSES[4]
    _as_of_before(lake, source, before)
    assert known_bases(lake, before).counts == {NOT_SAID: 15}, "it can be read as it is"
    old = lake.read(BARS, version=lake.version(BARS)).sort("symbol", "event_time")
    run(lake, source, DEMO_START)
    assert bases(lake, "S0000") == [None] * 5 + ["stated"]
    assert known_bases(lake, DEMO_START).counts == {NOT_SAID: 15, "stated": 3}
    now = lake.read(BARS, where=pl.col("event_time") <= before).sort("symbol", "event_time")
    assert now.equals(old), "no bar was told again"
    bars, actions, refused = refine_to_lake(lake, FixedClock(DEMO_START))
    assert bars.skipped
    assert actions.skipped
    assert refused.skipped


def test_a_home_of_two_sources_of_before_goes_on(tmp_path: Path) -> None:
    Market("desk", "first", first_year=2012, other_sources=("second",)).write(tmp_path)
    lake = Lake(tmp_path / "tables")
    both = [RowSource(ROWS, "first"), RowSource(ROWS, "second")]
    for source in both:
        _received_before(lake, source, CLOSES[4])
    lake.merge(older(BARS), tiny_market(["AAA", "BBB"], sessions=6, seed=1).head(5).drop("known_basis"))
    clock = FixedClock(CLOSES[5])
    ingest_sources(lake, both, clock)
    refine_to_lake(lake, clock)
    assert bases(lake) == [None] * 5 + ["stated"]


def _as_of_before(lake: Lake, source: GeneratedMarket, now: datetime) -> None:
    """Fill the tables as a release did that did not keep the basis."""
    _received_before(lake, source, now)
    lake.merge(older(BARS), refine_bars(source.read(None, now).rows).bars.select(older(BARS).names))


def _received_before(lake: Lake, source: GeneratedMarket | RowSource, now: datetime) -> None:
    batch = source.read(None, now)
    spec = older(RAW_BARS)
    rows = batch.rows.select(spec.names).with_columns(pl.col("row").cast(pl.Int64))
    lake.append(spec, rows, batch_id=batch.batch_id)


@pytest.mark.parametrize(
    ("counts", "delays", "sentence"),
    [
        ({"assumed": 4}, (0, 0), "4 bars: 100 % assumed (the close), none recorded."),
        ({"assumed": 3, "observed": 1}, (30, 30), "4 bars: 75 % assumed (close + 30 min), 25 % recorded at receipt."),
        (
            {"observed": 999, "assumed": 1},
            (30, 660),
            "1,000 bars: under 1 % assumed (close + 30 min to 11 h), over 99 %",
        ),
        ({"observed": 1, "stated": 1}, None, "2 bars: 100 % recorded or stated."),
        ({"scheduled": 1}, None, "1 bar: 100 % by a timetable."),
        ({NOT_SAID: 2}, None, "2 bars: 100 % not said, none recorded."),
        ({"assumed": 1, NOT_SAID: 3}, (0, 5760), "4 bars: 25 % assumed (close + 0 min to 4 days), 75 % not said, none"),
    ],
)
def test_the_sentence(counts: dict[str, int], delays: tuple[int, int] | None, sentence: str) -> None:
    found = delays and (timedelta(minutes=delays[0]), timedelta(minutes=delays[1]))
    said = KnownBases(sum(counts.values()), counts, found or None).sentence()
    assert said.startswith(f"Time of knowledge of {sentence}")
    assert said.endswith(".")


def test_the_widest_sentence_is_a_line_below_a_table() -> None:
    counts = {"assumed": 7_000_000, NOT_SAID: 3_000_000, "observed": 3_000_000, "stated": 2_000_000}
    assert len(KnownBases(15_000_000, counts, (MINUTES, timedelta(hours=11))).sentence()) <= 120


def test_it_stands_beside_what_the_source_says_and_not_before_there_is_a_bar(lake: Lake) -> None:
    assert caveats_of("packaged", DEMO, lake, DEMO_START) == caveats_of("packaged")
    run(lake, RowSource(ROWS.with_columns(pl.lit("assumed").alias("known_basis"))), CLOSES[-1])
    said = caveats_of("packaged", DEMO, lake, DEMO_START)
    assert said[0] == "Time of knowledge of 12 bars: 100 % assumed (the close), none recorded."
    assert said[1:] == caveats_of("packaged")
    assert KnownBases(0).sentence() == ""
    assert KnownBases(0).assumed is None
