"""What a price file delivers: every row, at its session's close, under one symbol, with an index that does not move."""

import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.calendars import close_of
from lake.clock import FixedClock
from lake.errors import ConfigError, SourceError, UnknownNameError
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources.files import LONGEST_SYMBOL, FileMapping, FileSource, canonical_symbol, inspect_file, why_refused
from lake.sources.files.index import equal_weight_index
from lake.sources.files.mapping import EQUAL_WEIGHT
from lake.sources.files.sessions import ALONE, CANDIDATES, PROOF_DAYS, _sessions_until
from lake.store import Lake
from lake.tables import BARS, QUARANTINE, RAW_BARS
from serving.api.base import SYMBOL_LETTERS
from support.price_files import Dialect, market, sessions
from support.properties import examples

END = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = sessions(last=date(2023, 3, 31))


def source_of(file: Path, **change: str | None) -> FileSource:
    mapping = FileMapping(
        path=str(file),
        layout="long",
        time="Date",
        time_format="%Y-%m-%d",
        price_basis="split_adjusted",
        interval="1d",
        calendar="XNYS",
        symbol="Ticker",
        open="Open",
        high="High",
        low="Low",
        close="Close",
        volume="Volume",
        delimiter=",",
    )
    return FileSource(replace(mapping, **change))


def index_of(source: FileSource) -> dict[date, str]:
    rows = source.read(None, END).rows.filter(pl.col("symbol") == EQUAL_WEIGHT)
    return dict(rows.select(pl.col("event_time").dt.date(), "adj_close").iter_rows())


def test_each_row_is_stamped_at_its_sessions_close(tmp_path: Path) -> None:
    days = [date(2023, 11, 22), date(2023, 11, 24)]  # the day after Thanksgiving closes early
    rows = source_of(Dialect().write(tmp_path / "p.csv", market(["AAA"], days))).read(None, END).rows
    assert rows["event_time"].unique().sort().to_list() == [close_of(day) for day in days]
    assert (
        rows["stamp"].str.to_datetime("%+", time_unit="us", time_zone="UTC").to_list() == rows["event_time"].to_list()
    )
    assert (rows["known_time"] == rows["event_time"]).all()


@pytest.mark.parametrize("calendar", ["24/5", "24/7", "XNYS"])
def test_a_day_without_a_session_is_never_the_close_of_another(calendar: str, tmp_path: Path) -> None:
    """A session of 24/5 closes at midnight, so that a Saturday stamped at its beginning would be Friday's close."""
    days = [date(2023, 6, 2), date(2023, 6, 3), date(2027, 12, 31), date(2028, 1, 1)]
    file = Dialect().write(tmp_path / "p.csv", market(["AAA"], days))
    rows = source_of(file, calendar=calendar).read(None, datetime(2029, 1, 1, tzinfo=UTC)).rows
    stray = rows.filter(pl.col("stamp").str.contains("23:59:59", literal=True))
    expected = [date(2028, 1, 1)] if calendar == "24/7" else [date(2023, 6, 3), date(2028, 1, 1)]
    assert stray["event_time"].dt.date().to_list() == expected


def test_ingestion_keeps_every_row_either_clean_or_with_its_reason(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "p.csv", market(["aaa", "NA", "TRUE"], DAYS))
    with file.open("a") as end:
        end.write("aaa,2023-01-07,1,2,1,2,10\nNA,not a day,1,2,1,2,10\nEUR/USD,2023-01-04,1,2,1,2,10\n")
        again = file.read_text(encoding="utf-8").splitlines()[1].rpartition(",")[0].partition(",")[2]
        # The last row of a bar counts.
        end.write(f"AAA\u200b,{again},11\n,{DAYS[0]},1,2,1,2,10\n")
    lake, clock, source = Lake(tmp_path / "lake"), FixedClock(END), source_of(file)
    assert ingest_bars(lake, source, clock).added == 4 * len(DAYS) + 5  # the index among them
    bars, _, quarantine = refine_to_lake(lake, clock)
    assert (bars.added, quarantine.added) == (4 * len(DAYS), 5)
    assert sorted(lake.read(BARS)["symbol"].unique()) == ["AAA", "NA", "TRUE", EQUAL_WEIGHT]
    proposal = inspect_file(file, given={"calendar": "XNYS"})
    refused = lake.read(QUARANTINE)["reason"].value_counts()
    counts = dict(refused.iter_rows())
    assert counts == {"not_a_session_close": 1, "unreadable_time": 1, "null_key": 2, "duplicate": 1}
    assert proposal.loaded == 3 * len(DAYS)
    told = {one.reason: one.rows for one in proposal.refused}
    assert told == {**counts, "null_key": 1, "symbol_not_accepted": 1}


def test_an_open_of_zero_is_delivered_as_received(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    file.write_text("Ticker,Date,Open,High,Low,Close,Volume\nAAA,2023-01-04,0,0,0,12.50,100\n")
    row = source_of(file).read(None, END).rows.row(0, named=True)
    assert [row[name] for name in ("open", "high", "low", "close", "adj_close")] == ["0", "0", "0", "12.50", "12.50"]


def test_the_same_content_is_the_same_delivery_and_other_content_another(tmp_path: Path) -> None:
    bars = market(["AAA", "BBB"], DAYS)
    first = source_of(Dialect().write(tmp_path / "p.csv", bars)).read(None, END)
    renamed = source_of(Dialect(newline="\r\n").write(tmp_path / "q.csv", bars)).read(None, END)
    assert first.batch_id == renamed.batch_id
    changed = bars.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("21.99")).otherwise("close").alias("close")
    )
    assert source_of(Dialect().write(tmp_path / "p.csv", changed)).read(None, END).batch_id != first.batch_id
    assert source_of(tmp_path / "q.csv").read(None, close_of(DAYS[-2])).batch_id != first.batch_id


def test_a_delivery_says_file_and_content_but_not_the_folder(tmp_path: Path) -> None:
    rows = source_of(Dialect().write(tmp_path / "p.csv", market(["AAA"], DAYS))).read(None, END).rows
    assert rows["package"][0].startswith("p.csv sha256:")
    assert not any(str(tmp_path) in str(value) for value in rows.row(0))
    assert RAW_BARS.conform(rows).height == rows.height


@pytest.mark.parametrize(
    ("columns", "basis", "expected"),
    [
        ({}, "as_traded", ("as_traded", "10", "10")),
        ({}, "split_adjusted", ("split_adjusted", "10", "10")),
        ({}, "fully_adjusted", ("fully_adjusted", "10", "10")),
        ({"adj_close": "Adj"}, "as_traded", ("as_traded", "10", "9")),
        ({"adj_close": "Adj"}, "split_adjusted", ("split_adjusted", "10", "9")),
        ({"volume": None}, "as_traded", ("adjusted_close_only", "10", "10")),
        ({"open": None, "high": None, "low": None}, "fully_adjusted", ("adjusted_close_only", None, "10")),
        ({"close": None, "adj_close": "Adj"}, "fully_adjusted", ("adjusted_close_only", None, "9")),
    ],
)
def test_the_basis_is_said_in_the_words_of_the_raw_table(
    columns: dict, basis: str, expected: tuple, tmp_path: Path
) -> None:
    file = tmp_path / "p.csv"
    file.write_text("Ticker,Date,Open,High,Low,Close,Adj,Volume\nAAA,2023-01-04,10,10,10,10,9,100\n")
    row = source_of(file, price_basis=basis, **columns).read(None, END).rows.row(0, named=True)
    assert (row["price_basis"], row["close"], row["adj_close"]) == expected


@pytest.mark.parametrize("basis", ["as_traded", "split_adjusted", "fully_adjusted"])
@pytest.mark.parametrize("adjusted", [None, "Adj"])
@pytest.mark.parametrize("index", [None, "AAA"])
def test_caveats_are_whole_sentences_of_one_line(basis: str, adjusted: str | None, index: str | None) -> None:
    source = source_of(Path("p.csv"), price_basis=basis, adj_close=adjusted, index=index)
    assert source.lookback is None
    assert len(source.caveats) == (2 if index is None else 1)
    for caveat in source.caveats:
        assert caveat[0].isupper()
        assert caveat.endswith(".")
        assert len(caveat) <= 110


def test_the_index_is_the_mean_return_chained_from_100(tmp_path: Path) -> None:
    file = tmp_path / "p.csv"
    lines = ["Ticker,Date,Open,High,Low,Close,Volume"]
    closes = {"AAA": [10, 11, 11, 22], "BBB": [50, 45, None, 45], "CCC": [None, None, 8, 10]}
    for symbol, prices in closes.items():
        lines += [f"{symbol},{d},{p},{p},{p},{p},1" for d, p in zip(DAYS[:4], prices, strict=True) if p is not None]
    file.write_text("\n".join(lines))
    # Second day: (+10 % - 10 %) / 2. Third: AAA alone, 0 %. Fourth: (+100 % + 25 %) / 2, BBB has no close before it.
    assert [float(level) for level in index_of(source_of(file)).values()] == [100, 100, 100, 162.5]


def test_refused_rows_do_not_move_the_index(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "p.csv", market(["AAA", "BBB"], DAYS))
    before = index_of(source_of(file))
    names, _, rows = file.read_text(encoding="utf-8").partition("\n")
    former = f"AAA,{DAYS[5]},1,2,1,2,10\n"  # the last row of a bar counts
    refused = f"CCC,{DAYS[5]},1,2,1,-2,10\nCCC,{DAYS[6]},1,2,1,twelve,10\nCCC,2023-01-07,1,2,1,2,1\n"
    file.write_text(f"{names}\n{former}{rows}{refused}", encoding="utf-8")
    assert index_of(source_of(file)) == before


@examples(15)
@given(st.integers(1, 6), st.integers(2, 30), st.integers(1, 30), st.randoms())
def test_rows_of_later_days_change_no_level_of_the_index(symbols, days, cut, random) -> None:  # type: ignore[no-untyped-def]  # drawn
    rows = [
        {"symbol": f"S{symbol}", "event_time": day, "price": random.uniform(1, 100)}
        for symbol in range(symbols)
        for day in range(days)
        if random.random() < 0.8
    ]
    random.shuffle(rows)
    closes = pl.DataFrame(rows, schema={"symbol": pl.String, "event_time": pl.Int64, "price": pl.Float64})
    whole = equal_weight_index(closes).filter(pl.col("event_time") < cut)
    earlier = equal_weight_index(closes.filter(pl.col("event_time") < cut).sort("price"))
    assert whole.rows() == earlier.rows()


def test_a_named_index_is_the_files_own(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "p.csv", market(["^SPX", "AAA"], DAYS))
    assert set(source_of(file, index="^SPX").read(None, END).rows["symbol"]) == {"^SPX", "AAA"}
    proposal = inspect_file(file, given={"calendar": "XNYS"})
    assert proposal.notes == ("^SPX may be an index; say index=^SPX to have no other made.",)
    assert inspect_file(file, given={"calendar": "XNYS", "index": " ^spx"}).settled().market_index == "^SPX"


def test_an_index_that_is_made_takes_no_symbols_name(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "p.csv", market([EQUAL_WEIGHT, "AAA"], DAYS))
    with pytest.raises(ConfigError, match="Set index to that symbol, or index_name to another name"):
        source_of(file).read(None, END)
    assert EQUAL_WEIGHT in set(source_of(file, index_name="^MINE").read(None, END).rows["symbol"])


def test_a_file_that_is_no_longer_written_as_it_was_is_refused(tmp_path: Path) -> None:
    file = Dialect(date_format="%d/%m/%Y").write(tmp_path / "p.csv", market(["AAA"], DAYS))
    with pytest.raises(SourceError, match=r"No day in the column 'Date' of p\.csv is written %Y-%m-%d"):
        source_of(file).read(None, END)
    with pytest.raises(UnknownNameError, match=r"There is no column 'Klose'\. Did you mean Close"):
        source_of(file, close="Klose").read(None, END)
    with pytest.raises(ConfigError, match="has no zone"):
        source_of(Dialect().write(file, market(["AAA"], DAYS))).read(None, datetime(2024, 1, 1))  # noqa: DTZ001 - the point


@pytest.mark.parametrize(
    ("written", "symbol"),
    [
        *(
            (name, name)
            for name in ("NA", "TRUE", "NAN", "BRK.B", "7203.T", "BTC-USD", "ES=F", "^GSPC", "000001", "M&M")
        ),
        (" aapl\t", "AAPL"),
        ("AA\u200bPL", "AAPL"),
        ("\ufeffAAPL\u00ad", "AAPL"),
        ("\uff21\uff21\uff30\uff2c", "AAPL"),
        ("AAPL\u00a0US  Equity", "AAPL US EQUITY"),
        ("e\u0301dF", "\u00c9DF"),
        ("nan", "NAN"),
    ],
)
def test_one_symbol_has_one_spelling(written: str, symbol: str) -> None:
    assert canonical_symbol(written) == symbol
    assert why_refused(written) == ""


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("", "has no letter and no digit"),
        (" \u200b", "has no letter and no digit"),
        ("..", "has no letter and no digit"),
        ("A" * 33, "has 33 letters, 32 at most"),
        ("EUR/USD", "write e.g. EUR-USD"),
        ("AA\x00PL", r"holds '\x00'"),
        ("AA?PL", "holds '?'"),
        ("<b>", "holds '<'"),
    ],
)
def test_what_has_no_spelling_is_refused_with_the_reason(written: str, fault: str) -> None:
    assert canonical_symbol(written) is None
    assert fault in why_refused(written)


@given(st.text(max_size=40))
@examples(60)
def test_a_canonical_symbol_is_its_own_spelling_and_the_endpoint_takes_it(text: str) -> None:
    symbol = canonical_symbol(text)
    if symbol is None:
        assert why_refused(text).endswith(".")
        return
    assert canonical_symbol(symbol) == symbol == unicodedata.normalize("NFKC", symbol)
    assert canonical_symbol(text.lower()) == canonical_symbol(text.upper())
    assert 1 <= len(symbol) <= SYMBOL_LETTERS
    assert symbol.isprintable()


def test_the_longest_symbol_is_that_of_the_endpoint() -> None:
    assert LONGEST_SYMBOL == SYMBOL_LETTERS


@pytest.mark.slow
@pytest.mark.parametrize("name", ALONE)
def test_no_other_calendar_has_the_sessions_of_one_that_ends_the_comparison(name: str) -> None:
    own = _sessions_until(name, 2024) or ()
    for other in set(CANDIDATES) - {name}:
        differences = sorted({*own} ^ {*(_sessions_until(other, 2024) or ())})
        marks = [own[0], *differences, own[-1]]
        alike = [sum(start <= day <= end for day in own) for start, end in pairwise(marks)]
        assert max(alike) < PROOF_DAYS, other


@pytest.mark.slow
def test_the_zones_of_candidates_are_those_of_their_calendars() -> None:
    import exchange_calendars as outside

    zones = {name: str(outside.get_calendar(name, start="2023-01-02", end="2023-02-28").tz) for name in CANDIDATES}
    assert zones == CANDIDATES
