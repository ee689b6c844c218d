"""SQL over the lake: every table a view, also as of a time."""

import math
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from lake.clock import DEMO_START
from lake.errors import ConfigError, DamagedTableError, TableNotFoundError
from lake.sources import tiny_market
from lake.spec import INSTANT, Column
from lake.sql import connect
from lake.store import Lake, delta_log
from lake.tables import (
    ACTIONS,
    BARS,
    DELIVERIES,
    FORECAST_DECISIONS,
    MODEL_WINDOWS,
    OUTCOMES,
    QUARANTINE,
    RAW_ACTIONS,
    RAW_BARS,
)
from support.facts import FACTS

LATER = DEMO_START + timedelta(days=1)
GOOD = tiny_market(["AAA", "BBB"], sessions=6, seed=3)


def test_every_table_is_a_view_of_its_columns(packaged_lake: Lake) -> None:
    connection = connect(lake=packaged_lake)
    views = {name for (name,) in connection.sql("show tables").fetchall()}
    stored = (RAW_BARS, RAW_ACTIONS, DELIVERIES, BARS, ACTIONS, QUARANTINE)
    assert views == {spec.name for spec in stored}
    for spec in stored:
        assert [row[0] for row in connection.sql(f"describe {spec.name}").fetchall()] == spec.names
    found = connection.sql(
        "select symbol, max(close_unadjusted) from bars where symbol = 'AAPL' group by all"
    ).fetchall()
    assert found == [("AAPL", 702.1)]  # 2012-09-19


def test_a_view_holds_what_the_store_reads(packaged_lake: Lake) -> None:
    connection = connect(at=DEMO_START, lake=packaged_lake)
    for spec in (BARS, ACTIONS):
        ours = packaged_lake.read_as_of(spec, DEMO_START)
        theirs = connection.sql(f"select * from {spec.name}").pl().sort(spec.key)
        assert_frame_equal(theirs.cast(spec.schema), ours)


def test_a_column_that_a_table_gained_in_place_is_shown_with_nulls_until_a_file_has_it(lake: Lake) -> None:
    """A number, a list and an instant; current, as of a day, and in the history."""
    made = replace(FACTS, layer="decisions")
    gained = tuple(
        Column(name, kind, "", "gained later", nullable=True)
        for name, kind in (("expected", pl.Float64()), ("places", pl.List(pl.Int64())), ("settled_at", INSTANT))
    )
    now, names = replace(made, columns=(*made.columns, *gained)), [column.name for column in gained]
    row = {"symbol": "A", "event_time": DEMO_START, "known_time": DEMO_START, "value": 1.0}
    lake.merge(made, pl.DataFrame([row], schema=made.schema))
    lake.merge(now, pl.DataFrame([row | dict.fromkeys(names)], schema=now.schema))  # adds the columns and no row
    connections = connect(lake=lake), connect(LATER, lake), connect(lake=lake, history=True)
    for connection in connections:
        assert connection.sql("select expected, places, settled_at from facts").fetchall() == [(None, None, None)]
        assert [name for name, *_ in connection.sql("describe facts").fetchall()] == now.names
    assert connections[0].sql("select settled_at from history.facts").types == ["TIMESTAMP WITH TIME ZONE"]
    assert connections[0].sql("select places from facts").types == ["BIGINT[]"]
    later = {"symbol": "B", "expected": 2.0, "places": [1, 2], "settled_at": LATER}
    lake.merge(now, pl.DataFrame([row | later], schema=now.schema))
    found = connect(lake=lake).sql("select expected, places, settled_at from facts order by symbol").fetchall()
    assert found == [(None, None, None), (2.0, [1, 2], LATER)]


def test_as_of_shows_what_was_known_then(lake: Lake) -> None:
    lake.merge(BARS, GOOD)
    lake.merge(BARS, GOOD.head(2).with_columns(volume=pl.lit(5.0), known_time=pl.lit(LATER)))
    count = "select count(*), sum(volume) from bars"
    assert connect(lake=lake).sql(count).fetchone() == (12, GOOD[2:]["volume"].sum() + 10)
    assert connect(lake=lake, history=True).sql(count).fetchone() == (14, GOOD["volume"].sum() + 10)
    assert connect(at=DEMO_START, lake=lake).sql(count).fetchone() == (12, GOOD["volume"].sum())
    assert connect(at=LATER, lake=lake).sql(count).fetchone() == (12, GOOD[2:]["volume"].sum() + 10)
    middle = GOOD["event_time"][2]
    assert connect(at=middle, lake=lake).sql(count).fetchone() == (
        6,
        GOOD.filter(pl.col("event_time") <= middle)["volume"].sum(),
    )


def test_every_stored_row_is_beside_the_current_ones(lake: Lake) -> None:
    lake.merge(BARS, GOOD)
    lake.merge(BARS, GOOD.head(2).with_columns(volume=pl.lit(5.0), known_time=pl.lit(LATER)))
    lake.merge(QUARANTINE, QUARANTINE.empty())
    restated = """select symbol, event_time, old.volume, new.volume from bars new join history.bars old
                  using (symbol, event_time) where old.known_time < new.known_time order by event_time"""
    found = connect(lake=lake).sql(restated).fetchall()
    assert found == [(*row, 5.0) for row in GOOD.head(2).select("symbol", "event_time", "volume").rows()]
    count = "select count(*) from history.bars union all select count(*) from history.quarantine"
    assert connect(lake=lake).sql(count).fetchall() == [(14,), (0,)]
    assert connect(DEMO_START, lake).sql(count).fetchall() == [(12,), (0,)]


@pytest.mark.parametrize("at", ["2012-12-31", date(2012, 12, 31), "2012-12-31T21:00Z", "2012-12-31T16:00-05:00"])
def test_a_day_is_what_was_known_in_the_course_of_it(lake: Lake, at: str | date) -> None:
    lake.merge(BARS, GOOD)
    lake.merge(BARS, GOOD.head(2).with_columns(volume=pl.lit(5.0), known_time=pl.lit(LATER)))
    query = "select count(*), sum(volume) from bars"
    assert connect(at, lake).sql(query).fetchone() == (12, GOOD["volume"].sum())
    assert connect("2012-12-30", lake).sql(query).fetchone()[0] == 10


def test_what_is_no_day_and_no_instant_is_refused(lake: Lake) -> None:
    with pytest.raises(
        ConfigError, match=r"'yesterday' is neither a day nor an instant\. Write a day, e\.g\. 2010-01-04"
    ):
        connect("yesterday", lake)
    with pytest.raises(ConfigError, match=r"has no zone"):
        connect("2012-12-31T21:00", lake)


def test_a_withdrawn_forecast_is_in_the_history_only(lake: Lake) -> None:
    first = GOOD["event_time"][0]
    came = {"realised_return": 0.01, "error": 0.0, "pinball_loss": 0.1, "is_covered": True, "is_direction_hit": True}
    said = [{"forecast_id": name, "event_time": first, "known_time": first, **came} for name in ("kept", "it's gone")]
    lake.merge(OUTCOMES, pl.DataFrame(said, schema=OUTCOMES.schema))
    query = "select forecast_id from outcomes order by forecast_id desc"
    assert connect(lake=lake).sql(query).fetchall() == [("kept",), ("it's gone",)]
    decision = {"forecast_id": "it's gone", "decision": "withdrawn", "event_time": LATER, "known_time": LATER}
    row = pl.DataFrame([decision | {"reason": "wrong market", "who": "a test"}], schema=FORECAST_DECISIONS.schema)
    lake.merge(FORECAST_DECISIONS, row)
    assert connect(lake=lake).sql(query).fetchall() == [("kept",)]
    assert connect(lake=lake, tables=["outcomes"]).sql(query).fetchall() == [("kept",)]
    assert connect(lake=lake).sql("select count(*) from history.outcomes").fetchone() == (2,)


def test_decisions_that_cannot_be_read_stop_what_they_are_about_and_no_other(lake: Lake) -> None:
    first = GOOD["event_time"][0]
    came = {"realised_return": 0.01, "error": 0.0, "pinball_loss": 0.1, "is_covered": True, "is_direction_hit": True}
    outcome = {"forecast_id": "gone", "event_time": first, "known_time": first, **came}
    lake.merge(OUTCOMES, pl.DataFrame([outcome], schema=OUTCOMES.schema))
    lake.merge(BARS, GOOD)
    decision = {"forecast_id": "gone", "decision": "withdrawn", "event_time": LATER, "known_time": LATER}
    row = pl.DataFrame([decision | {"reason": "wrong market", "who": "a test"}], schema=FORECAST_DECISIONS.schema)
    lake.merge(FORECAST_DECISIONS, row)
    harm_by_removing(lake.path(FORECAST_DECISIONS))
    connection = connect(lake=lake)
    assert connection.sql("select count(*) from bars").fetchone() == (GOOD.height,)
    with pytest.raises(DamagedTableError, match="not known which rows of 'outcomes' were withdrawn"):
        connection.sql("from outcomes")


def test_a_column_says_what_it_means_and_in_which_unit(lake: Lake) -> None:
    lake.merge(BARS, GOOD)
    lake.merge(QUARANTINE, QUARANTINE.empty())
    connection = connect(lake=lake)
    for spec in (BARS, QUARANTINE):
        told = connection.sql(f"select name, unit, meaning from columns_of('{spec.name}')").fetchall()
        assert told == [(column.name, column.unit, column.meaning) for column in spec.columns]
    query = "select comment from duckdb_columns() where table_name = 'bars' and column_name = 'close'"
    assert connection.sql(query).fetchone() == ("close adjusted for splits and dividends, currency",)
    assert {name for (name,) in connection.sql("show tables").fetchall()} == {"bars", "quarantine"}


def test_lists_and_string_filters_work(lake: Lake) -> None:
    rows = GOOD.select(
        "symbol",
        "event_time",
        "known_time",
        pl.lit("forecast_v2").alias("signature"),
        pl.lit([1.0, 2.0], dtype=pl.List(pl.Float32)).alias("window"),
        pl.lit(9.0).alias("reference_price"),
        pl.lit("00").alias("feature_hash"),
        pl.lit("{}").alias("table_versions"),
        pl.lit("as_traded").alias("price_basis"),
        pl.lit("USD").alias("currency"),
    )
    lake.merge(MODEL_WINDOWS, rows)
    query = """select "window"[2], len("window") from model_windows where symbol = 'AAA' limit 1"""
    assert connect(at=DEMO_START, lake=lake).sql(query).fetchone() == (2.0, 2)


def test_a_table_without_rows_is_an_empty_view_and_one_never_written_is_none(lake: Lake) -> None:
    lake.merge(QUARANTINE, QUARANTINE.empty())
    connection = connect(at=DEMO_START, lake=lake)
    assert connection.sql("select reason, count(*) from quarantine group by reason").fetchall() == []
    assert [row[0] for row in connection.sql("describe quarantine").fetchall()] == QUARANTINE.names
    for query in ("select * from bars", "from history.BARS", "select 1 from quarantine join bars using (symbol)"):
        with pytest.raises(TableNotFoundError, match=r"Table 'bars' does not exist under .* `make demo`"):
            connect(lake=lake).sql(query)
    with pytest.raises(duckdb.CatalogException, match="barz does not exist"):
        connect(lake=lake).sql("select * from barz")


def test_of_the_tables_asked_for_each_is_a_view_and_no_other_is_read(lake: Lake) -> None:
    lake.merge(BARS, GOOD)
    lake.merge(QUARANTINE, QUARANTINE.empty())
    connection = connect(lake=lake, tables=["bars", "cte"])
    assert connection.sql("select count(*) from bars").fetchone() == (GOOD.height,)
    assert connection.sql("select count(distinct table_name) from about.columns").fetchone() == (1,)
    with pytest.raises(duckdb.CatalogException, match="quarantine does not exist"):
        connection.sql("from quarantine")


def test_a_folder_with_a_quote_in_its_name_is_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "ann's lake" / "tables")
    lake.merge(BARS, GOOD)
    assert connect(lake=lake).sql("select count(*) from bars").fetchone() == (12,)


def test_times_are_in_utc(lake: Lake) -> None:
    lake.merge(BARS, GOOD)
    assert connect(lake=lake).sql("select max(event_time)::varchar from bars").fetchone() == ("2012-12-31 21:00:00+00",)


NAMINGS = (
    "select sum(close) from bars",
    "from BARS",
    'select * from memory.main."bars"',
    "with all_bars as (from bars) select count(*) from all_bars",
    "select 1; from bars",
    "pivot bars on symbol using max(close)",
    "describe bars",
    "bars",
)


def harm_log(folder: Path) -> Path:
    entry = delta_log.entry(folder, 1)
    entry.write_bytes(entry.read_bytes()[:40])
    return entry


def harm_newest_entry(folder: Path) -> Path:
    entry = delta_log.entry(folder, delta_log.versions(folder)[-1])
    entry.unlink()
    return entry


def harm_bit(folder: Path) -> Path:
    file = next(folder.rglob("part-*.parquet"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 8
    file.write_bytes(content)
    return file


def harm_end(folder: Path) -> Path:
    file = next(folder.rglob("part-*.parquet"))
    file.write_bytes(file.read_bytes()[:-50])
    return file


def harm_by_removing(folder: Path) -> Path:
    file = next(folder.rglob("part-*.parquet"))
    file.unlink()
    return file


EARLY = [(harm, False) for harm in (harm_log, harm_newest_entry, harm_bit, harm_end, harm_by_removing)]
LATE = [(harm, True) for harm in (harm_bit, harm_end, harm_by_removing)]
"""Harm done after the connection was made, which reads the version of then."""


@pytest.mark.parametrize(("harm", "is_late"), EARLY + LATE)
def test_a_damaged_table_is_named_with_its_file_and_stops_no_other(
    lake: Lake, harm: Callable[[Path], Path], *, is_late: bool
) -> None:
    lake.merge(BARS, GOOD.head(6))
    lake.merge(BARS, GOOD.tail(6))
    lake.merge(QUARANTINE, QUARANTINE.empty())
    connection = connect(lake=lake)
    file = harm(lake.path(BARS))
    if not is_late:
        connection = connect(lake=lake)
    for query in NAMINGS:
        ask = connection.table if query == "bars" else connection.sql
        with pytest.raises(DamagedTableError, match=r"^Table 'bars' .*`quantlake lake repair bars`") as raised:
            ask(query)
        assert file.name in str(raised.value) or harm is harm_log
    assert connection.sql("select count(*) from quarantine").fetchone() == (0,)


def test_a_flipped_bit_no_one_verifies_changes_the_sum_of_closes(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case of a stranger: the sum of all closes was 5.6e270, and the doctor called the table whole."""
    closes = [100.0 + math.sqrt(number) for number in range(12)]
    lake.merge(BARS, GOOD.with_columns(close=pl.Series(closes)))
    file = Path(lake.files(BARS)[0])
    content = bytearray(file.read_bytes())
    mantissa = struct.pack("<d", closes[7])[:6]
    place = content.rindex(mantissa, 0, content.index(b"PAR1", 4)) if mantissa in content else -1
    assert place > 0
    content[place + 7] ^= 0x38
    file.write_bytes(content)
    query = "select sum(close) from bars"
    with pytest.raises(DamagedTableError, match="changed since they were written"):
        connect(lake=lake).sql(query)
    monkeypatch.setattr("lake.sql.require_intact", lambda *_: None)
    assert connect(lake=lake).sql(query).fetchone() != (sum(closes),)
