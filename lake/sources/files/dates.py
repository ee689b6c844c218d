"""How dates are written: found from the texts, and the texts read. Pure functions."""

import re
from dataclasses import dataclass

import polars as pl

from lake.errors import ConfigError

SPECIAL = ("excel", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns")
YEAR_FIRST = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")
DAY_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%y", "%d-%m-%y", "%d.%m.%y")
MONTH_FIRST = ("%m/%d/%Y", "%m-%d-%Y", "%m.%d.%Y", "%m/%d/%y", "%m-%d-%y", "%m.%d.%y")
NAMED = ("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%y", "%d %b %y")
EPOCH_DIGITS = {"epoch_s": (9, 10), "epoch_ms": (12, 13), "epoch_us": (15, 16), "epoch_ns": (18, 19)}
PATTERNS = {"%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%b": r"[^\W\d_]{3,9}\.?"}
CLOCK = r"(?:[T ]+(?<clock>\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?)(?: ?(?<half>[AaPp][Mm]))?)?"
OFFSET = r" ?(?<offset>Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?"
ENOUGH = 0.5
"""Least share of the texts that a format must read to be taken for the file's."""
YEARS = (1850, 2150)


@dataclass(frozen=True)
class DateFormat:
    """How the dates of a file are written; `rivals` read as many of them, so that the file cannot say."""

    time_format: str
    evidence: str
    rivals: tuple[str, ...] = ()


def read_dates(texts: pl.Series, time_format: str) -> pl.DataFrame:
    """Return what each text says.

    Parameters
    ----------
    texts
        As written; null stays null.
    time_format
        As in `FileMapping`.

    Returns
    -------
    pl.DataFrame
        ``at`` (the time as written, without a zone, null where unreadable), ``offset`` (minutes ahead of UTC, null
        where none is written).

    Raises
    ------
    ConfigError
        If a format has no day, no month or no year.

    Examples
    --------
    >>> import polars as pl
    >>> read_dates(pl.Series(["31/12/2024", "31/12/2024 16:00:00-05:00"]), "%d/%m/%Y").rows()
    [(datetime.datetime(2024, 12, 31, 0, 0), None), (datetime.datetime(2024, 12, 31, 16, 0), -300)]
    """
    text = texts.cast(pl.String).str.strip_chars().alias("text").to_frame()
    if time_format == "excel":
        days = text.select(pl.col("text").str.extract(r"^(\d{5}(?:\.\d+)?)$").cast(pl.Float64).alias("days"))
        micros = (pl.col("days") * 86_400e6).round(0).cast(pl.Int64)
        start = pl.datetime(1899, 12, 30, time_unit="us")
        at = (start + micros.cast(pl.Duration("us"))).dt.round("1s")
        return days.select(at.alias("at"), pl.lit(None, dtype=pl.Int32).alias("offset"))
    if time_format in EPOCH_DIGITS:
        scale = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1, "epoch_ns": 1}[time_format]
        number = pl.col("text").str.extract(r"^(\d{8,19})(?:\.0*)?$").cast(pl.Int64) * scale
        number = number // 1_000 if time_format == "epoch_ns" else number
        at = number.cast(pl.Datetime("us"))
        return text.select(at.alias("at"), pl.when(at.is_not_null()).then(pl.lit(0, dtype=pl.Int32)).alias("offset"))
    return _read_written(text, time_format)


def _read_written(text: pl.DataFrame, time_format: str) -> pl.DataFrame:
    found = text.select(pl.col("text").str.extract_groups(_pattern(time_format)).alias("part")).unnest("part")
    day = pl.col("date").str.replace_all(r"\.", "") if "%b" in time_format else pl.col("date")
    day = day.str.to_date(time_format, strict=False, exact=True)
    day = pl.when(day.dt.year().is_between(*YEARS)).then(day)
    parts = pl.col("clock").str.split(":")
    hour = parts.list.get(0, null_on_oob=True).cast(pl.Int64)
    half = pl.col("half").str.to_lowercase()
    hour = pl.when(half.is_null()).then(hour).otherwise(hour % 12 + 12 * (half == "pm"))
    minute = parts.list.get(1, null_on_oob=True).cast(pl.Int64)
    second = parts.list.get(2, null_on_oob=True).cast(pl.Float64).fill_null(0.0)
    is_clock = pl.col("clock").is_null() | ((hour < 24) & (minute < 60) & (second < 60))  # noqa: PLR2004 - a clock
    micros = ((hour * 3_600 + minute * 60) * 1_000_000 + (second * 1e6).round(0).cast(pl.Int64)).fill_null(0)
    at = pl.when(is_clock).then(day.cast(pl.Datetime("us")) + micros.cast(pl.Duration("us")))
    sign = pl.when(pl.col("offset").str.starts_with("-")).then(-1).otherwise(1)
    digits = pl.col("offset").str.replace_all(r"\D", "").str.pad_end(4, "0")
    minutes = sign * (digits.str.slice(0, 2).cast(pl.Int32) * 60 + digits.str.slice(2, 2).cast(pl.Int32))
    return found.select(at.alias("at"), minutes.cast(pl.Int32).alias("offset"))


def _pattern(time_format: str) -> str:
    letters = set(re.findall(r"%.", time_format))
    if (
        not letters <= set(PATTERNS)
        or not {"%d"} <= letters
        or not letters & {"%m", "%b"}
        or not letters & {"%Y", "%y"}
    ):
        raise ConfigError(
            f"time_format is '{time_format}'; it says where day, month and year are, e.g. %d/%m/%Y with %b for a "
            f"month's name and %y for two digits, or it is one of {', '.join(SPECIAL)}. Times and offsets need none."
        )
    date = time_format.replace(".", "[.]")
    compact = time_format == "%Y%m%d"
    for letter, pattern in PATTERNS.items():
        date = date.replace(letter, r"\d{2}" if compact and letter in {"%m", "%d"} else pattern)
    return f"^(?<date>{date}){CLOCK}{OFFSET}$"


def find_date_format(texts: pl.Series, *, is_day_first: bool | None = None) -> DateFormat | None:
    """Return how dates are written, or None where no known way reads half of the texts.

    Parameters
    ----------
    texts
        Distinct texts of a column; a few thousand are enough.
    is_day_first
        Settles what numbers alone cannot: whether ``01/02/2024`` is in February.

    Examples
    --------
    >>> import polars as pl
    >>> find_date_format(pl.Series(["31/12/2024", "02/01/2025"])).evidence
    'dates are written 31/12/2024, so the day comes first'
    >>> find_date_format(pl.Series(["01/02/2024", "02/02/2024"])).rivals
    ('%m/%d/%Y',)
    """
    texts = texts.drop_nulls()
    texts = texts.str.strip_chars()
    texts = texts.filter(texts != "")
    if texts.is_empty():
        return None
    candidates = [*YEAR_FIRST, *DAY_FIRST, *MONTH_FIRST, *NAMED]
    if is_day_first is not None:
        candidates = [form for form in candidates if form not in (MONTH_FIRST if is_day_first else DAY_FIRST)]
    read = {form: _count_read(texts, form) for form in candidates}
    for form in SPECIAL:
        low, high = EPOCH_DIGITS.get(form, (5, 5))
        read[form] = int(texts.str.contains(rf"^[1-9]\d{{{low - 1},{high - 1}}}(?:\.\d*)?$").sum())
    best = max(read, key=lambda form: read[form])
    if read[best] < ENOUGH * len(texts):
        return None
    rivals = tuple(form for form, count in read.items() if count == read[best] and form != best)
    return DateFormat(best, _evidence(texts, best, rivals), rivals)


def _count_read(texts: pl.Series, form: str) -> int:
    """Count the texts that a format reads; 0 where their shape alone says that it does not read `ENOUGH`."""
    if texts.str.contains(_pattern(form)).sum() < ENOUGH * len(texts):
        return 0
    return int(read_dates(texts, form)["at"].is_not_null().sum())


def _evidence(texts: pl.Series, form: str, rivals: tuple[str, ...]) -> str:
    if form == "excel":
        return f"dates are day numbers of a spreadsheet, e.g. {texts[0]}"
    if form in SPECIAL:
        return f"times are counted from 1970, e.g. {texts[0]}, {form.removeprefix('epoch_')} being the unit"
    if rivals:
        return f"dates are written {texts[0]}, and no day is beyond the 12th"
    if form in {*DAY_FIRST, *MONTH_FIRST}:
        other = read_dates(texts, _swapped(form))["at"].is_null() & read_dates(texts, form)["at"].is_not_null()
        first = "day" if form in DAY_FIRST else "month"
        return f"dates are written {texts.filter(other)[0] if other.any() else texts[0]}, so the {first} comes first"
    return f"dates are written {texts[0]}, that is {form}"


def _swapped(form: str) -> str:
    return form.replace("%d", "?").replace("%m", "%d").replace("?", "%m")
