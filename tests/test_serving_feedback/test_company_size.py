"""Sizes of companies follow from what was known at each close, and the records by size count every forecast once."""

from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.clock import DEMO_START
from lake.tables import BARS
from serving.history import KnownTables, records_by, records_by_size
from serving.history.company_size import FEWEST_BARS, SIZES, THIRDS, UNKNOWN_SIZE, sizes_at_closes
from support.history import lived_through
from support.properties import examples

BEGIN = datetime(2012, 1, 2, 21, tzinfo=DEMO_START.tzinfo)
DAYS, LIVED = 70, 45
SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
DELAY = pl.lit(timedelta(minutes=15))


def bars(volumes: dict[str, list[float | None]]) -> pl.DataFrame:
    """Bars of one close a day at a price of 10, known at once."""
    rows = [
        {"symbol": symbol, "event_time": at, "known_time": at, "close": 10.0, "volume": volume}
        for symbol, series in volumes.items()
        for at, volume in zip((BEGIN + timedelta(days=day) for day in range(DAYS)), series, strict=True)
    ]
    names = ("symbol", "event_time", "known_time", "close", "volume")
    return pl.DataFrame(rows, schema={name: BARS.schema[name] for name in names})


def ranked(**changed: list[float | None]) -> pl.DataFrame:
    """Six symbols, each traded more than the one before."""
    return bars({symbol: [1_000.0 * place] * DAYS for place, symbol in enumerate(SYMBOLS, start=1)} | changed)


def sizes_of(rows: pl.DataFrame, day: int) -> dict[str, str | None]:
    found = sizes_at_closes(rows, DELAY).filter(event_time=BEGIN + timedelta(days=day))
    return dict(found.select("symbol", "size").iter_rows())


def test_symbols_are_cut_into_thirds_by_what_was_traded_of_them():
    expected = dict(zip(SYMBOLS, (*["small"] * 2, *["middle"] * 2, *["large"] * 2), strict=True))
    assert sizes_of(ranked(), DAYS - 1) == expected
    assert sizes_at_closes(ranked(), DELAY).schema == SIZES


def test_a_symbol_without_a_known_volume_and_the_first_bars_have_no_size():
    found = sizes_of(ranked(CCC=[None] * DAYS), DAYS - 1)
    assert found["CCC"] is None
    assert sorted(set(found.values()) - {None}) == sorted(THIRDS)
    assert set(sizes_of(ranked(), FEWEST_BARS - 2).values()) == {None}
    assert None not in sizes_of(ranked(), FEWEST_BARS - 1).values()


def test_fewer_than_three_sized_symbols_are_not_ranked():
    rows = ranked().filter(pl.col("symbol").is_in(SYMBOLS[:2]))
    assert set(sizes_of(rows, DAYS - 1).values()) == {None}


@examples(20)
@given(day=st.integers(FEWEST_BARS, DAYS - 1), minutes=st.integers(0, 15))
def test_what_comes_or_is_corrected_after_a_decision_moves_no_size(day, minutes):
    rows, at = ranked(), BEGIN + timedelta(days=day)
    assert sizes_of(rows.filter(pl.col("event_time") <= at), day) == sizes_of(rows, day)
    is_late = (pl.col("symbol") == "AAA") & (pl.col("event_time") > at - timedelta(days=FEWEST_BARS + 12))
    huge = rows.filter(is_late).with_columns(pl.col("volume") * 1e6)
    late = huge.with_columns(pl.col("known_time") + timedelta(minutes=16 + minutes))
    assert sizes_of(pl.concat([rows, late]), day) == sizes_of(rows, day), "a correction"
    missing = rows.with_columns(pl.when(~is_late).then("volume").alias("volume"))
    on_time = rows.filter(~is_late)
    assert sizes_of(pl.concat([on_time, late]), day) == sizes_of(missing, day), "a late bar"
    assert sizes_of(pl.concat([on_time, huge]), day)["AAA"] == "large", "the same bar in time"


@pytest.fixture(scope="module")
def tables(made_market, engines, closes, copy_lake, tmp_path_factory):
    until = closes[-LIVED - 1]
    early = {name: type(one)(one.name, one.slope, until) for name, one in engines.items()}
    lake = copy_lake(made_market, tmp_path_factory.mktemp("sizes") / "tables")
    return KnownTables(lived_through(lake, early, DEMO_START, LIVED))


def test_the_records_by_size_count_each_forecast_once(tables):
    found = records_by_size(tables, 1, DEMO_START, model="ridge")
    (overall,) = [one for one in records_by(tables, "model_name", 1, DEMO_START) if one.group == "ridge"]
    assert {one.group for one in found} <= {*THIRDS, UNKNOWN_SIZE}
    assert len(found) >= len(THIRDS)
    assert sum(one.band.outcomes for one in found) == overall.band.outcomes
    held = [one.band.held * one.band.outcomes for one in found]
    assert sum(held) == pytest.approx(overall.band.held * overall.band.outcomes)
    losses = [one.skill.pinball_loss * one.skill.outcomes for one in found]
    assert sum(losses) == pytest.approx(overall.skill.pinball_loss * overall.skill.outcomes)


def test_without_volumes_there_is_no_record_by_size(tables, copy_lake, tmp_path):
    lake = copy_lake(tables.reader, tmp_path / "unsized" / "tables")
    lake.rebuild(BARS, [lake.read(BARS).with_columns(pl.lit(None, dtype=pl.Float64).alias("volume"))])
    assert records_by_size(KnownTables(lake), 1, DEMO_START, model="ridge") == []
    assert records_by(KnownTables(lake), "regime", 1, DEMO_START, model="ridge")
