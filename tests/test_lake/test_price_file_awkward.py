"""Awkward files: refused in one sentence that helps, or read with what is wrong counted and named."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from lake.errors import ConfigError, SourceError, UnknownNameError
from lake.sources.files import FileMapping, FileSource, inspect_file
from lake.sources.files.numbers import plain_number
from support.price_files import Dialect, market, sessions

END = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = sessions()
BASE = {
    "path": "p.csv",
    "layout": "long",
    "time": "Date",
    "close": "Close",
    "symbol": "Ticker",
    "time_format": "%Y-%m-%d",
    "price_basis": "split_adjusted",
    "interval": "1d",
    "calendar": "XNYS",
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "cannot be read as a table|is empty"),
        (b" \r\n \r\n", "is empty"),
        (b"Date,Close\n", "has column names and no rows"),
        (b"Date,Close\n,\n , \n", "has column names and no rows"),
        (bytes(range(256)) * 20, "is binary and no Parquet"),
        (b"PK\x03\x04 a workbook", "Save the sheet as CSV"),
        (b"PAR1 torn", "begins as Parquet and is damaged"),
        (b"\x1f\x8b torn", "cannot be read"),
        (b"\xff\xfea\x00b", "begins as utf-16 and is none"),
        (b"Date,Close\n2024-01-02,1.5\n2024-01-03,1.5,7\n", "line 3 has 3 cells and the first line 2"),
        (b"2024-01-02,1.5\n2024-01-03,1.6\n", "The first line of prices.csv is data"),
        (b"Date,Close,Close\n2024-01-02,1.5,2\n", "2 columns named 'Close'"),
        (b"Date\n2024-01-02\n", "has one column, 'Date'"),
        (b"Date,Close\nyesterday,1.5\ntoday,1.6\n", "'Date' begins with 'yesterday'"),
        (b"Date,Word\n2024-01-02,a\n2024-01-03,b\n", "No column of prices.csv is known for closes among Date, Word"),
    ],
)
def test_what_is_no_price_file_is_refused_with_what_to_do(content: bytes, message: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_bytes(content)
    with pytest.raises(SourceError, match=message) as caught:
        inspect_file(file)
    assert str(caught.value).endswith((".", ";"))


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is a folder"):
        inspect_file(tmp_path)
    with pytest.raises(SourceError, match="There is no file"):
        inspect_file(tmp_path / "prices.csv")


def test_a_nested_column_of_parquet_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"Date": [date(2024, 1, 2)], "Close": [[1.0]]}).write_parquet(tmp_path / "prices.parquet")
    with pytest.raises(SourceError, match=r"The column 'Close' of prices\.parquet holds List"):
        inspect_file(tmp_path / "prices.parquet")


def test_a_gzipped_file_is_read(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "prices.csv", market(["AAA"], DAYS))
    file.write_bytes(gzip.compress(file.read_bytes()))
    assert inspect_file(file).loaded == len(DAYS)


def test_rows_that_would_be_refused_are_counted_by_reason_with_an_example(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "prices.csv", market(["AAA"], DAYS))
    lines = [
        "AAA,2024-01-01,1,2,1,2,10",  # a holiday
        "AAA,2024-01-06,1,2,1,2,10",  # a Saturday
        "AAA,2024-13-45,1,2,1,2,10",
        "AAA,2024-01-03T21:00:00Z tomorrow,1,2,1,2,10",
        "BBB,2024-01-03,1,2,1,twelve,10",
        "BBB,2024-01-04,1,2,1,,10",
        "BBB,2024-01-05,1,2,1,-2,10",
        "BBB,2024-01-08,1,0.5,1,1,10",
        "EUR/USD,2024-01-08,1,1,1,1,10",
        ",2024-01-08,1,1,1,1,10",
        file.read_text(encoding="utf-8").splitlines()[1],
        "",
    ]
    with file.open("a") as end:
        end.write("\n".join(lines))
    proposal = inspect_file(file)
    assert {refused.reason: refused.rows for refused in proposal.refused} == {
        "not_a_session_close": 2,
        "unreadable_time": 2,
        "unreadable_number": 1,
        "missing_value": 1,
        "price_not_positive": 1,
        "high_below_low": 1,
        "symbol_not_accepted": 1,
        "null_key": 1,
        "duplicate": 1,
    }
    examples = {refused.reason: refused.example for refused in proposal.refused}
    assert "symbol 'BBB', stamp '2024-01-03" in examples["unreadable_number"]
    assert "close 'twelve'" in examples["unreadable_number"]
    assert any("'EUR/USD' holds '/'" in note for note in proposal.notes)
    assert proposal.loaded == len(DAYS)
    rows = FileSource(proposal.settled()).read(None, END).rows
    assert rows.filter(pl.col("price_basis") == "split_adjusted").height == len(DAYS) + len(lines) - 1


def test_a_text_that_happens_to_be_an_iso_time_is_no_date_of_a_file_written_otherwise(tmp_path: Path) -> None:
    file = Dialect(date_format="%d/%m/%Y").write(tmp_path / "prices.csv", market(["AAA"], DAYS))
    with file.open("a") as end:
        end.write("AAA,2024-06-28T20:00:00+00:00,1,2,1,2,10\nAAA,2024-06-27T20:00:00,1,2,1,2,10\n")
    (refused,) = inspect_file(file).refused
    assert (refused.reason, refused.rows) == ("unreadable_time", 2)


def test_a_column_that_is_empty_everywhere_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "EURUSD.csv"
    pl.DataFrame({"Date": DAYS, "Close": [1 + n % 7 / 100 for n in range(len(DAYS))], "Volume": ""}).write_csv(file)
    proposal = inspect_file(file)
    assert (proposal.settled().volume, proposal.settled().only_symbol) == (None, "EURUSD")
    assert (proposal.loaded, proposal.refused) == (len(DAYS), ())


def test_row_numbers_written_beside_a_wide_table_are_no_symbol(tmp_path: Path) -> None:
    file = Dialect().write_wide(tmp_path / "closes.csv", market(["AAA", "BBB", "CCC"], DAYS))
    lines = file.read_text().splitlines()
    file.write_text("\n".join([f",{lines[0]}", *(f"{n},{line}" for n, line in enumerate(lines[1:], start=1))]))
    assert [span.symbol for span in inspect_file(file).symbols] == ["AAA", "BBB", "CCC"]


@pytest.mark.parametrize(
    ("minutes", "interval"),
    [(30, "30m"), (240, "4h"), (7 * 1440, "1w"), (30 * 1440, "1mo"), (60 * 1440, "irregular")],
)
def test_an_interval_of_no_bars_is_recognised_and_not_loaded(minutes: int, interval: str, tmp_path: Path) -> None:
    times = [
        datetime.fromtimestamp(1_704_205_800 + 60 * minutes * n, UTC).strftime("%Y-%m-%d %H:%M:%S") for n in range(50)
    ]
    pl.DataFrame({"Date": times, "Close": [str(10 + n % 3) for n in range(50)]}).write_csv(tmp_path / "AAA.csv")
    proposal = inspect_file(tmp_path / "AAA.csv")
    assert [question.field for question in proposal.questions] == ["interval"]
    assert next(choice.value for choice in proposal.choices if choice.field == "interval") == interval
    mapping = FileMapping.from_dict(BASE | {"path": str(tmp_path / "AAA.csv"), "interval": interval})
    with pytest.raises(SourceError, match=f"are {interval} apart, and bars of 1d, 60m, 15m, 5m, 1m are loaded"):
        FileSource(mapping).read(None, END)


@pytest.mark.parametrize(
    "calendar", ["XNYS", "24/7", "XTKS", *(pytest.param(name, marks=pytest.mark.slow) for name in ("XLON", "XHKG"))]
)
def test_the_calendar_is_the_one_whose_sessions_are_the_days(calendar: str, tmp_path: Path) -> None:
    days = sessions(calendar)
    file = Dialect().write(tmp_path / "prices.csv", market(["AAA"], days))
    proposal = inspect_file(file)
    assert proposal.settled().calendar == calendar
    assert (proposal.loaded, proposal.refused) == (len(days), ())


def test_equal_evidence_goes_to_new_york_and_is_said(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "prices.csv", market(["AAA"], [date(2024, 2, 13), date(2024, 2, 14)]))
    choice = next(choice for choice in inspect_file(file).choices if choice.field == "calendar")
    assert (choice.value, choice.is_assumed) == ("XNYS", True)
    assert "XLON" in choice.evidence
    assert choice.evidence.endswith("would do as well, and XNYS is taken by custom")


def test_many_rows_of_one_day_are_asked_about(tmp_path: Path) -> None:
    bars = market(["AAA"], DAYS)
    file = tmp_path / "AAA.csv"
    minutes = pl.DataFrame({"Clock": ["09:30", "09:31", "09:32"]})
    bars.select(pl.col("day").alias("Date"), pl.col("close").alias("Close")).join(minutes, how="cross").write_csv(file)
    (question,) = inspect_file(file).questions
    assert question.text.startswith(f"{2 * len(DAYS)} of {3 * len(DAYS)} rows are further ones of their symbol and day")
    assert inspect_file(file, given={"interval": "1d"}).loaded == len(DAYS)


def test_a_late_date_settles_day_and_month_in_a_long_file_too(tmp_path: Path) -> None:
    days = [date(2023, month, day) for month in range(1, 13) for day in range(1, 13)] * 60
    lines = [f"S{number},{day:%d/%m/%Y},1.5" for number, day in enumerate(days)] + ["AAA,31/12/2024,1.5"]
    (tmp_path / "p.csv").write_text("Ticker,Date,Close\n" + "\n".join(lines))
    assert inspect_file(tmp_path / "p.csv", given={"calendar": "24/7"}).settled().time_format == "%d/%m/%Y"


def test_a_symbol_of_the_name_of_the_index_that_is_made_is_asked_about(tmp_path: Path) -> None:
    file = Dialect().write(tmp_path / "p.csv", market(["^EQUAL_WEIGHT", "AAA"], DAYS))
    (question,) = inspect_file(file).questions
    assert str(question) == "The file has a symbol ^EQUAL_WEIGHT. Say index=^EQUAL_WEIGHT or index_name=^OTHER."
    assert inspect_file(file, given={"index_name": "^OTHER"}).settled().index_name == "^OTHER"
    assert inspect_file(file, given={"index": "^EQUAL_WEIGHT"}).settled().index == "^EQUAL_WEIGHT"


def test_a_file_of_which_nothing_would_be_loaded_says_so(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("Ticker,Date,Close\nAAA,2024-01-02,twelve\nAAA,2024-01-03,-1.5\n")
    proposal = inspect_file(tmp_path / "p.csv", given={"calendar": "XNYS"})
    assert (proposal.loaded, proposal.symbols, proposal.notes) == (0, (), ("No row would be loaded.",))


def test_shares_among_coins_are_told_to_have_a_file_of_their_own(tmp_path: Path) -> None:
    both = pl.concat([market(["BTC-USD"], sessions("24/7")), market(["AAPL"], DAYS)])
    (note,) = inspect_file(Dialect().write(tmp_path / "prices.csv", both)).notes
    assert note.startswith("1 symbols have no bar on a weekend and others have, e.g. AAPL.")


def _closes(tmp_path: Path, closes: list[float], adjusted: list[float] | None = None) -> Path:
    columns = {"Date": DAYS[: len(closes)], "Close": closes} | ({"Adj Close": adjusted} if adjusted else {})
    pl.DataFrame(columns).write_csv(tmp_path / "AAA.csv")
    return tmp_path / "AAA.csv"


def test_the_basis_follows_from_what_happens_overnight(tmp_path: Path) -> None:
    def basis(file: Path) -> str:
        return inspect_file(file).settled().price_basis

    assert basis(_closes(tmp_path, [100.0, 101, 25.5, 25], [25.0, 25.25, 25.5, 25])) == "as_traded"
    assert basis(_closes(tmp_path, [100.0, 101, 99, 98], [98.0, 99, 98.5, 98])) == "split_adjusted"
    pl.DataFrame({"Date": DAYS[:3], "Adj Close": [1.0, 2, 3]}).write_csv(tmp_path / "AAA.csv")
    assert basis(tmp_path / "AAA.csv") == "fully_adjusted"


def test_a_jump_like_a_split_without_an_adjusted_close_is_asked_about(tmp_path: Path) -> None:
    file = _closes(tmp_path, [100.0, 101, 25.5, 25])
    (question,) = inspect_file(file).questions
    assert question.text.startswith("AAA went from 101 to 25.5 on 2023-01-05, which looks like a split")
    for basis in ("as_traded", "split_adjusted", "fully_adjusted"):
        assert inspect_file(file, given={"price_basis": basis}).settled().price_basis == basis


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"calender": "XNYS"}, ConfigError, "has no 'calender'. The nearest name is 'calendar'"),
        ({"calendar": "XNYX"}, UnknownNameError, "There is no calendar 'XNYX'. Did you mean XNYS"),
        ({"close": "Klose"}, UnknownNameError, "There is no column 'Klose'. Did you mean Close"),
        ({"index": "SPX"}, UnknownNameError, "There is no symbol 'SPX'"),
        ({"day_first": "yes"}, ConfigError, "day_first is 'yes'; say true"),
        ({"time_format": "%Y"}, ConfigError, "time_format is '%Y'; it says where day, month and year are"),
        ({"time_format": "%d/%m/%Y"}, ConfigError, "No cell of 'Date' is written %d/%m/%Y"),
    ],
)
def test_an_override_that_cannot_be_is_refused(
    given: dict, error: type[Exception], message: str, tmp_path: Path
) -> None:
    file = Dialect().write(tmp_path / "prices.csv", market(["AAA"], DAYS))
    with pytest.raises(error, match=message.replace(".", r"\.")):
        inspect_file(file, given=given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"calender": "XNYS"}, "has no 'calender'. The nearest name is 'calendar'"),
        ({"calendar": None}, "calendar of the file's mapping is None"),
        ({"layout": "tall"}, "layout is 'tall', and it is one of: 'long', 'wide'"),
        ({"price_basis": "raw"}, "price_basis is 'raw'"),
        ({"interval": "2d"}, "interval is '2d'"),
        ({"decimal_mark": ";"}, "decimal_mark is ';'"),
        ({"thousands_mark": "."}, "The decimal mark and the thousands mark are both '.'"),
        ({"thousands_mark": "x"}, "thousands_mark is 'x'"),
        ({"delimiter": "||"}, "delimiter is '||'; it is one character"),
        ({"zone": "Mars/Base"}, "There is no time zone 'Mars/Base'"),
        ({"volume": "Close"}, "The column 'Close' is named for two things"),
        ({"close": None}, "A long file needs its column of closes"),
        ({"symbol": None}, "names its symbols in a column"),
        ({"only_symbol": "AAA"}, "names its symbols in a column"),
        ({"layout": "wide"}, "A wide file has a column per symbol"),
        ({"index": 7}, "index of the file's mapping is 7, and it is a text. Quote it in the YAML"),
    ],
)
def test_a_mapping_that_contradicts_itself_is_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        FileMapping.from_dict(BASE | change)
    assert message in str(caught.value)


def test_a_mapping_without_a_key_names_it() -> None:
    short = {name: value for name, value in BASE.items() if name not in {"calendar", "interval"}}
    with pytest.raises(ConfigError, match="has no interval, no calendar"):
        FileMapping.from_dict(short)


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "plain"),
    [
        ("1,234.5", ".", ",", "1234.5"),
        ("1,23.5", ".", ",", "1,23.5"),
        ("12,5", ".", None, "12,5"),
        ("12,5", ".", ",", "12,5"),
        ("1.234,5", ",", ".", "1234.5"),
        ("1.5", ",", ".", "'1.5'"),
        ("1.5", ",", None, "'1.5'"),
        ("1\u202f234,5", ",", " ", "1234.5"),
        ("1\u2019234.5", ".", "'", "1234.5"),
        (" \u22123 ", ".", None, "-3"),
        ("1,5E+3", ",", None, "1.5E+3"),
        ("NaN", ".", None, None),
        ("#N/A", ".", None, None),
        ("12 USD", ".", " ", "12 USD"),
    ],
)
def test_a_number_is_made_plain_by_its_marks_alone(
    text: str, decimal: str, thousands: str | None, plain: str | None
) -> None:
    frame = pl.DataFrame({"x": [text]})
    assert frame.select(plain_number(pl.col("x"), decimal, thousands))["x"].to_list() == [plain]
