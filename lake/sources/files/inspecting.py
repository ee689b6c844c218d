"""Look at a price file: propose how to read it, ask what it leaves open, and say what would be loaded and refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import polars as pl

from lake.errors import ConfigError, UnknownNameError
from lake.horizons import INTERVALS, MINUTES
from lake.names import NameHistory, canonical_symbol
from lake.sources.files.bases import find_basis
from lake.sources.files.columns import FoundColumns, find_layout, sample_of
from lake.sources.files.dates import find_date_format, read_dates
from lake.sources.files.mapping import EQUAL_WEIGHT, NUMBERS, FileMapping, require_fields
from lake.sources.files.numbers import find_number_format
from lake.sources.files.proposal import FieldChoice, FileProposal, OpenQuestion
from lake.sources.files.rows import raw_rows, with_reasons
from lake.sources.files.sessions import describe_fit, rank_calendars, zone_of
from lake.sources.files.spacing import find_interval
from lake.sources.files.splits import read_splits
from lake.sources.files.summary import refused_rows, remarks, symbol_spans
from lake.sources.files.tables import NAMES, TextTable, read_table

DAY_FIRST = "day_first"
HEAD = 20_000
FEWEST_DAYS = 60
"""Fewer days than these say little about a calendar."""
DEFAULTS = {one.name: one.default for one in fields_of(FileMapping)}


@dataclass
class _Draft:
    """Choices and questions so far; a given field is never asked for and never overruled."""

    given: Mapping[str, Any]
    choices: list[FieldChoice] = field(default_factory=list)
    questions: list[OpenQuestion] = field(default_factory=list)

    def choose(self, name: str, value: str | None, evidence: str, *, is_assumed: bool = False) -> None:
        if name in self.given:
            self.choices.append(FieldChoice(name, self.given[name], "given"))
        else:
            self.choices.append(FieldChoice(name, value, evidence, is_assumed))

    def ask(self, name: str, text: str, *options: str) -> None:
        self.questions.append(OpenQuestion(name, text, options))

    def value(self, name: str) -> Any:
        return next((choice.value for choice in self.choices if choice.field == name), DEFAULTS[name])


def inspect_file(
    path: str | Path, *, given: Mapping[str, Any] | None = None, names: NameHistory | None = None
) -> FileProposal:
    r"""Return how a file would be read, with the evidence for each choice, and what would come of it.

    Parameters
    ----------
    path
        CSV or another delimited text, gzipped or not, or Parquet.
    given
        Fields of `FileMapping` that are settled, by name, and ``day_first`` (a bool), which settles whether 01/02/2024
        is in February. They are never overruled by what the file looks like.
    names
        What the instruments were called before, so that rows are counted under their symbols; a row under the name of
        no instrument of its day is refused as ``unknown_symbol``.

    Raises
    ------
    SourceError
        If the file cannot be read as a table, or has no dates or no closes.
    ConfigError
        If a given name or value is not one there is.
    UnknownNameError
        If a given column, calendar or index does not exist.

    Examples
    --------
    >>> import tempfile
    >>> file = Path(tempfile.mkdtemp()) / "prices.csv"
    >>> _ = file.write_text("Date;Ticker;Close\n28.12.2012;AAA;10,5\n31.12.2012;AAA;10,75\n02.01.2013;AAA;11,0\n")
    >>> proposal = inspect_file(file)
    >>> [(choice.value, choice.evidence) for choice in proposal.choices if choice.field == "time_format"]
    [('%d.%m.%Y', 'dates are written 28.12.2012, so the day comes first')]
    >>> proposal.loaded, proposal.settled().decimal_mark
    (3, ',')
    """
    path, given = Path(path), dict(given or {})
    require_fields(given, (DAY_FIRST,))
    is_day_first = given.pop(DAY_FIRST, None)
    if is_day_first is not None and not isinstance(is_day_first, bool):
        raise ConfigError(f"day_first is {is_day_first!r}; say true where the day comes before the month, else false.")
    table = read_table(path, given.get("delimiter"))
    draft = _Draft(given)
    _describe_text(draft, table)
    found = find_layout(path, table.frame, given)
    draft.choices += found.choices
    _choose_dates(draft, table.frame[found.columns["time"]], is_day_first)
    _choose_numbers(draft, table, found)
    known = None if draft.questions else _choose_interval(draft, table.frame, found)
    if known is None or draft.questions:
        return FileProposal(path.name, None, tuple(draft.choices), tuple(draft.questions))
    _choose_calendar(draft, known)
    index = given.get("index")
    index_name = given.get("index_name", EQUAL_WEIGHT)
    draft.choose("index", None, f"none is named, so an equal-weight one is made and called {index_name}")
    mapping = _mapping(path, found, draft, table, price_basis=given.get("price_basis", "split_adjusted"))
    rows = with_reasons(raw_rows(table.frame, mapping), mapping.grid)
    _require_one_row_a_day(draft, rows)
    _choose_basis(draft, rows, mapping)
    if index is None and (rows["symbol"] == index_name).any():
        draft.ask("index", f"The file has a symbol {index_name}.", f"index={index_name}", "index_name=^OTHER")
    if draft.questions:
        return FileProposal(path.name, None, tuple(draft.choices), tuple(draft.questions))
    settled = replace(mapping, price_basis=str(draft.value("price_basis")))
    if settled.price_basis != mapping.price_basis:
        rows = with_reasons(raw_rows(table.frame, settled), settled.grid)
    rows = _under_symbols(rows, names or NameHistory())
    spans = symbol_spans(rows)
    settled = _with_splits(draft, settled, [span.symbol for span in spans])
    if index is not None:
        settled = replace(settled, index=_known_index(index, [span.symbol for span in spans]))
    loaded = rows["reason"].null_count()
    notes = remarks(rows, settled)
    return FileProposal(path.name, settled, tuple(draft.choices), (), spans, loaded, refused_rows(rows), notes)


def _describe_text(draft: _Draft, table: TextTable) -> None:
    if table.delimiter is None:
        return
    name = NAMES.get(table.delimiter, table.delimiter)
    evidence = f"cells are parted by a {name}; letters are {table.encoding}"
    draft.choose("delimiter", table.delimiter, evidence, is_assumed=table.encoding == "cp1252")


def _choose_dates(draft: _Draft, times: pl.Series, is_day_first: bool | None) -> None:
    texts = sample_of(times)
    found = find_date_format(texts, is_day_first=is_day_first)
    if "time_format" in draft.given:
        draft.choose("time_format", None, "given")
    elif found is None:
        example = texts[0] if len(texts) else ""
        draft.ask("time_format", f"How is the date '{example}' written?", "time_format=%d/%m/%Y or as it is")
    elif found.rivals:
        draft.ask("time_format", f"{_capital(found.evidence)}.", "day_first=true", "day_first=false")
    else:
        draft.choose("time_format", found.time_format, found.evidence)


def _choose_numbers(draft: _Draft, table: TextTable, found: FoundColumns) -> None:
    time = found.columns["time"]
    names = [found.columns[name] for name in NUMBERS if name in found.columns]
    names = names or [name for name in table.frame.columns if name != time]
    marked = [
        column.filter(column.str.contains("[,'\u2019\\s]|\\..*\\.")).head(HEAD) for column in table.frame.select(names)
    ]
    form = find_number_format(pl.concat([*marked, *(column.head(HEAD) for column in table.frame.select(names))]))
    if form.is_ambiguous and "decimal_mark" not in draft.given and "thousands_mark" not in draft.given:
        draft.ask(
            "decimal_mark",
            f"{_capital(form.evidence)}, which is a thousand and more, or one and some.",
            "thousands_mark=, if it is a thousand",
            "decimal_mark=, if it is one",
        )
        return
    decimal, thousands = form.decimal_mark, form.thousands_mark
    decimal = draft.given.get("decimal_mark", decimal)
    if thousands == decimal:
        thousands = None
    draft.choose("decimal_mark", decimal, form.evidence)
    if thousands is not None or "thousands_mark" in draft.given:
        draft.choose("thousands_mark", thousands, form.evidence)


def _choose_interval(draft: _Draft, cells: pl.DataFrame, found: FoundColumns) -> pl.DataFrame:
    """Choose the interval, or ask where there are no such bars; return the times that can be read."""
    time = found.columns["time"]
    times = cells[time].unique().drop_nulls()
    read = read_dates(times, str(draft.value("time_format"))).with_columns(times.alias(time))
    known = read.drop_nulls("at")
    if known.is_empty():
        raise ConfigError(
            f"No cell of '{time}' is written {draft.value('time_format')}; it begins with '{times.sort()[0]}'. "
            "Correct time_format."
        )
    interval, evidence = find_interval(cells, read, time, found.columns.get("symbol"))
    draft.choose("interval", interval, evidence)
    if draft.value("interval") not in INTERVALS:
        draft.ask(
            "interval",
            f"{_capital(evidence)}, and bars of {', '.join(INTERVALS)} are loaded: make a file of one of these.",
            "interval=1d if the rows are daily nevertheless",
        )
    elif draft.value("interval") in MINUTES:
        _choose_stamp(draft, known)
    return known


def _choose_stamp(draft: _Draft, known: pl.DataFrame) -> None:
    """Ask what a time of day means, which no file says: the open or the close of a bar, and in which zone."""
    if "stamp" in draft.given:
        draft.choose("stamp", None, "given")
    else:
        draft.ask("stamp", "A time may be that of the open or of the close of its bar.", "stamp=open", "stamp=close")
    if known["offset"].null_count() and "zone" not in draft.given:
        draft.ask("zone", "Times have no offset from UTC.", "zone=UTC", "zone=America/New_York or as it is")


def _choose_calendar(draft: _Draft, known: pl.DataFrame) -> None:
    """Choose calendar and zone: each calendar is compared with the days that the times are in its own zone."""
    has_offsets = known["offset"].null_count() < known.height
    is_midnight = bool((known["at"].dt.date().cast(pl.Datetime("us")) == known["at"]).all())

    def days_in(zone: str) -> pl.Series:
        if not has_offsets or is_midnight:
            return known["at"].dt.date().unique()
        instant = (pl.col("at") - pl.duration(minutes=pl.col("offset").fill_null(0))).dt.replace_time_zone("UTC")
        return known.select(instant.dt.convert_time_zone(zone).dt.date().unique())["at"]

    if "calendar" in draft.given:
        draft.choose("calendar", None, "given")
    else:
        fits = rank_calendars(days_in)
        is_tie = len(fits) > 1 and fits[0].misses == fits[1].misses
        draft.choose("calendar", fits[0].calendar, describe_fit(fits), is_assumed=is_tie or known.height < FEWEST_DAYS)
    if has_offsets and not is_midnight:
        zone = zone_of(str(draft.value("calendar")))
        draft.choose("zone", zone, f"times have an offset, so their day is read where the market is, in {zone}")
    elif "zone" in draft.given:
        draft.choose("zone", None, "given")
    elif has_offsets:
        draft.choose("zone", None, "every time is midnight where it was written, so the date counts as written")


def _require_one_row_a_day(draft: _Draft, rows: pl.DataFrame) -> None:
    """Ask where most rows share symbol and day with another one: their time of day is in another column, or lost."""
    copies = rows.filter(pl.col("reason") == "duplicate")
    if "interval" not in draft.given and copies.height > rows["reason"].null_count():
        draft.ask(
            "interval",
            f"{copies.height} of {rows.height} rows are further ones of their symbol and day, e.g. of "
            f"{copies['symbol'][0]} on {copies['day'][0]}: make one row of each day, or say how long a bar is.",
            "interval=1d to load the first of each day",
        )


def _choose_basis(draft: _Draft, rows: pl.DataFrame, mapping: FileMapping) -> None:
    if "price_basis" in draft.given:
        draft.choose("price_basis", None, "given")
        return
    good = rows.filter(pl.col("reason").is_null())
    columns = mapping.columns if mapping.layout == "long" else {"close": ""}
    basis = find_basis(good, has_close="close" in columns, has_adjusted="adj_close" in columns)
    if isinstance(basis, OpenQuestion):
        draft.questions.append(basis)
    else:
        draft.choices.append(basis)


def _mapping(path: Path, found: FoundColumns, draft: _Draft, table: TextTable, *, price_basis: str) -> FileMapping:
    names = ("time_format", "interval", "calendar", "zone", "decimal_mark", "thousands_mark", "stamp")
    values = {name: draft.value(name) for name in names}
    if "index_name" in draft.given:
        values["index_name"] = draft.given["index_name"]
    return FileMapping(
        path=str(path),
        layout=found.layout,
        **found.columns,
        only_symbol=found.only_symbol,
        delimiter=table.delimiter,
        price_basis=price_basis,
        **values,
    )


def _under_symbols(rows: pl.DataFrame, names: NameHistory) -> pl.DataFrame:
    """Put the instrument of each row in the place of the name that the row bears."""
    if not names.spans:
        return rows
    is_unknown = pl.col("reason").is_null() & names.resolved().is_null()
    reason = pl.when(is_unknown).then(pl.lit("unknown_symbol")).otherwise("reason").alias("reason")
    return rows.with_columns(reason, names.resolved().alias("symbol"))


def _with_splits(draft: _Draft, mapping: FileMapping, symbols: list[str]) -> FileMapping:
    """Take in the splits that are declared beside the file, if any, and say how many they are."""
    if "splits" not in draft.given:
        return mapping
    with_splits = replace(mapping, splits=draft.given["splits"])
    assert with_splits.splits_file is not None
    found = read_splits(with_splits.splits_file, symbols, "file")
    counted = {"split": found.height, "symbol": found["symbol"].n_unique()}
    splits, of_symbols = (f"{number} {what}{'' if number == 1 else 's'}" for what, number in counted.items())
    evidence = f"{splits} of {of_symbols}, so that prices as traded are known"
    draft.choices.append(FieldChoice("splits", with_splits.splits, evidence))
    return with_splits


def _known_index(text: str, symbols: list[str]) -> str:
    symbol = canonical_symbol(text)
    if symbol is None or symbol not in symbols:
        raise UnknownNameError("symbol", text, symbols)
    return symbol


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
