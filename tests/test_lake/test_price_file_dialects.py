"""Files as people write them are proposed and read back to the same values; what is ambiguous is asked."""

import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from lake.errors import ConfigError
from lake.sources.files import FileMapping, FileProposal, FileSource, inspect_file
from support.price_files import FIELDS, Dialect, market, sessions
from support.properties import examples

END = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = sessions()
GERMAN = ("K\xfcrzel", "Datum", "Er\xf6ffnung", "Hoch", "Tief", "Schlu\xdfkurs", "Volumen")
SYMBOLS = ["AAA", "BRK.B", "NA", "TRUE", "nan", "7203.T", "BTC-USD", "000001"]


def read_back(proposal: FileProposal) -> dict[tuple[str, date], tuple[str | None, ...]]:
    rows = FileSource(proposal.settled()).read(None, END).rows
    rows = rows.filter(pl.col("symbol") != proposal.settled().index_name)
    table = rows.select("symbol", pl.col("event_time").dt.date(), "open", "high", "low", "adj_close", "volume")
    return {(symbol, day): tuple(values) for symbol, day, *values in table.iter_rows()}


def written(bars: pl.DataFrame) -> dict[tuple[str, date], tuple[str | None, ...]]:
    table = bars.select("symbol", "day", *FIELDS)
    return {(symbol.upper(), day): tuple(values) for symbol, day, *values in table.iter_rows()}


def value(proposal: FileProposal, field: str) -> str | None:
    return next(choice.value for choice in proposal.choices if choice.field == field)


def evidence(proposal: FileProposal, field: str) -> str:
    return next(choice.evidence for choice in proposal.choices if choice.field == field)


@pytest.mark.parametrize(
    "dialect",
    [
        Dialect(),
        Dialect(newline="\r\n", encoding="utf-8-sig"),
        Dialect(delimiter="\t", encoding="utf-16"),
        Dialect(delimiter="|", newline="\r"),
        Dialect(thousands_mark=","),
        Dialect(delimiter=";", decimal_mark=",", thousands_mark=".", date_format="%d.%m.%Y"),
        Dialect(delimiter=";", decimal_mark=",", thousands_mark=" ", date_format="%d/%m/%Y"),
        Dialect(delimiter=";", decimal_mark=",", thousands_mark="\u202f", date_format="%d-%b-%Y"),
        Dialect(decimal_mark=","),
        Dialect(thousands_mark="'", date_format="%m/%d/%Y"),
        Dialect(date_format="%Y%m%d"),
        Dialect(date_format="excel"),
        Dialect(date_format="%Y-%m-%dT00:00:00Z"),
        Dialect(date_format="%Y-%m-%d 00:00:00-05:00"),
        Dialect(date_format="%Y-%m-%d 21:00:00+00:00"),
        Dialect(date_format="%b %d, %Y"),
        Dialect(date_format="%m/%d/%y 4:00 PM"),
        Dialect(encoding="latin-1", delimiter=";", names=GERMAN),
    ],
    ids=repr,
)  # fmt: skip
def test_a_dialect_is_read_back_to_the_same_values(dialect: Dialect, tmp_path: Path) -> None:
    bars = market(SYMBOLS, DAYS)
    given = {"close": "Schlu\xdfkurs"} if dialect.encoding == "latin-1" else {}
    proposal = inspect_file(dialect.write(tmp_path / "prices.csv", bars), given=given)
    assert proposal.questions == ()
    assert (proposal.loaded, proposal.refused) == (bars.height, ())
    assert proposal.settled().calendar == "XNYS"
    assert read_back(proposal) == written(bars)
    assert [span.symbol for span in proposal.symbols] == sorted(symbol.upper() for symbol in SYMBOLS)
    assert {(span.first, span.last, span.rows) for span in proposal.symbols} == {(DAYS[0], DAYS[-1], len(DAYS))}


def test_a_wide_file_is_read_as_closes_and_an_empty_cell_is_no_row(tmp_path: Path) -> None:
    bars = market(["C", "V", "NA", "COIN"], DAYS).filter((pl.col("symbol") != "V") | (pl.col("day") > DAYS[30]))
    proposal = inspect_file(Dialect().write_wide(tmp_path / "closes.csv", bars))
    assert proposal.settled().layout == "wide"
    assert (proposal.loaded, proposal.refused) == (bars.height, ())
    assert {key: values[3] for key, values in read_back(proposal).items()} == {
        key: values[3] for key, values in written(bars).items()
    }


def test_parquet_with_dates_and_numbers_is_read(tmp_path: Path) -> None:
    bars = market(["AAA", "BBB"], DAYS)
    typed = bars.with_columns(pl.col(*FIELDS).cast(pl.Float64), pl.col("symbol").cast(pl.Categorical))
    typed.write_parquet(tmp_path / "prices.parquet")
    proposal = inspect_file(tmp_path / "prices.parquet")
    assert proposal.settled().delimiter is None
    got = read_back(proposal)
    assert {key: [float(text or "nan") for text in values] for key, values in got.items()} == {
        key: [float(text or "nan") for text in values] for key, values in written(bars).items()
    }


@pytest.mark.parametrize(("unit", "zone"), [("ns", None), ("us", "UTC"), ("ms", "America/New_York")])
def test_parquet_with_times_is_read_by_the_day_they_speak_of(unit: str, zone: str | None, tmp_path: Path) -> None:
    bars = market(["AAA"], DAYS)
    times = bars["day"].cast(pl.Datetime(unit)).dt.replace_time_zone(zone)  # type: ignore[arg-type]  # one of three
    bars.with_columns(times.alias("day")).write_parquet(tmp_path / "prices.parquet")
    proposal = inspect_file(tmp_path / "prices.parquet")
    assert (proposal.loaded, proposal.refused) == (bars.height, ())
    assert read_back(proposal) == written(bars)


def test_midnight_of_the_market_written_in_utc_is_the_day_of_the_market(tmp_path: Path) -> None:
    days = sessions("XTKS")
    bars = market(["7203.T"], days)
    times = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("Asia/Tokyo").dt.convert_time_zone("UTC")
    bars.with_columns(times).write_parquet(tmp_path / "prices.parquet")
    proposal = inspect_file(tmp_path / "prices.parquet")
    assert (proposal.settled().calendar, proposal.settled().zone) == ("XTKS", "Asia/Tokyo")
    assert (proposal.loaded, proposal.refused) == (bars.height, ())
    assert set(read_back(proposal)) == {("7203.T", day) for day in days}


def test_dates_that_could_be_either_are_asked_for_and_an_answer_settles_them(tmp_path: Path) -> None:
    days = [date(2024, month, day) for month in (1, 2, 3) for day in (2, 3, 4, 5)]
    file = Dialect(date_format="%d/%m/%Y").write(tmp_path / "prices.csv", market(["AAA"], days))
    proposal = inspect_file(file)
    assert proposal.mapping is None
    assert [question.options for question in proposal.questions] == [("day_first=true", "day_first=false")]
    with pytest.raises(ConfigError, match=r"no day is beyond the 12th\. Say day_first=true or day_first=false\."):
        proposal.settled()
    assert inspect_file(file, given={"day_first": True}).settled().time_format == "%d/%m/%Y"
    assert inspect_file(file, given={"day_first": False}).settled().time_format == "%m/%d/%Y"


def test_numbers_that_could_be_either_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text('Date,Close\n2024-01-02,"1,234"\n2024-01-03,"1,250"\n')
    question = inspect_file(file).questions[0]
    assert "1,234" in question.text
    thousand = inspect_file(file, given={"thousands_mark": ","}).settled()
    assert (thousand.decimal_mark, thousand.thousands_mark) == (".", ",")
    one = inspect_file(file, given={"decimal_mark": ","}).settled()
    assert (one.decimal_mark, one.thousands_mark) == (",", None)
    assert next(iter(read_back(inspect_file(file, given={"decimal_mark": ","})).values()))[3] == "1.234"


def test_the_other_mark_is_never_read_as_a_number(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("Date;Close\n2024-01-02;12,5\n2024-01-03;12.75\n2024-01-04;12,25\n")
    (refused,) = inspect_file(file).refused
    assert (refused.reason, refused.rows) == ("unreadable_number", 1)
    file.write_text('Date,Close\n2024-01-02,12.5\n2024-01-03,"12,75"\n2024-01-04,12.25\n2024-01-05,12.50\n')
    (refused,) = inspect_file(file).refused
    assert (refused.reason, refused.rows) == ("unreadable_number", 1)


def test_each_choice_has_its_evidence(tmp_path: Path) -> None:
    dialect = Dialect(delimiter=";", decimal_mark=",", date_format="%d/%m/%Y")
    proposal = inspect_file(dialect.write(tmp_path / "prices.csv", market(["AAA"], DAYS)))
    assert evidence(proposal, "time_format") == "dates are written 13/01/2023, so the day comes first"
    assert "semicolon" in evidence(proposal, "delimiter")
    assert evidence(proposal, "interval") == "rows of a symbol are a day apart"
    assert (
        evidence(proposal, "calendar")
        == "the sessions of XNYS are the days of the file exactly, and no other calendar has these"
    )
    assert value(proposal, "index") is None
    assert [choice.field for choice in proposal.choices if choice.is_assumed] == ["price_basis"]


def test_what_is_proposed_is_what_the_yaml_says_again(tmp_path: Path) -> None:
    proposal = inspect_file(Dialect().write(tmp_path / "prices.csv", market(["AAA"], DAYS)))
    again = FileMapping.from_dict(yaml.safe_load(yaml.safe_dump(proposal.settled().to_dict())))
    assert again == proposal.settled()
    assert inspect_file(tmp_path / "prices.csv", given=again.to_dict() | {"path": "other.csv"}).settled() is not None


texts = st.text(alphabet="ABCDEFGHXYZabc0123456789.-^=", min_size=1, max_size=12).filter(
    lambda text: any(letter.isalpha() for letter in text)
)
dialects = st.builds(
    Dialect,
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal_mark=st.sampled_from([".", ","]),
    thousands_mark=st.sampled_from(["", ",", ".", " ", "'"]),
    date_format=st.sampled_from(
        ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %b %Y", "%Y-%m-%d 00:00:00", "excel"]
    ),
    newline=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)


@examples(6)
@given(
    dialects,
    st.lists(texts, min_size=1, max_size=4, unique_by=str.upper),
    st.integers(45, 120),
    st.randoms(),
    st.booleans(),
)
def test_any_table_in_any_dialect_is_read_back(dialect, symbols, length, random, is_wide) -> None:  # type: ignore[no-untyped-def]  # drawn
    assume(dialect.thousands_mark != dialect.decimal_mark)
    bars = market(symbols, DAYS[:length])
    bars = bars.filter(pl.Series([random.random() < 0.9 for _ in range(bars.height)])) if length > 60 else bars
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prices.csv"
        if is_wide:
            assume(not {symbol.lower() for symbol in symbols} & {"date", "dt", "day", "data"})
            proposal = inspect_file(dialect.write_wide(file, bars), given={"layout": "wide"})
        else:
            proposal = inspect_file(dialect.write(file, bars))
        assert proposal.questions == ()
        assert (proposal.loaded, proposal.refused) == (bars.height, ())
        got, expected = read_back(proposal), written(bars)
    if is_wide:
        assert {key: values[3] for key, values in got.items()} == {key: values[3] for key, values in expected.items()}
    else:
        assert got == expected
