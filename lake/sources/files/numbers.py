"""How numbers are written: found from the texts, and the texts made plain. Pure functions."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

SPACES = r"[ \u00a0\u2009\u202f]"
QUOTES = r"['\u2019]"
MARKS = {",": ",", ".": r"\.", " ": SPACES, "'": QUOTES}
"""Regular expression of each mark."""
UNKNOWN = ("", "na", "n/a", "nan", "null", "none", "nil", "-", "--", "#n/a", "nd", ".")
NOT_KNOWN = sorted({"NaN", *UNKNOWN, *(text.upper() for text in UNKNOWN), *(text.title() for text in UNKNOWN)})
"""What stands for a value that is not known."""


@dataclass(frozen=True)
class NumberFormat:
    """The marks of a file's numbers; `is_ambiguous` where ``1,234`` could be either."""

    decimal_mark: str
    thousands_mark: str | None
    evidence: str
    is_ambiguous: bool = False


def plain_number(column: pl.Expr, decimal_mark: str, thousands_mark: str | None) -> pl.Expr:
    """Return a column of texts as numbers are written in code, e.g. ``1234.5``; null for what is not known.

    A text that does not follow the marks to the letter stays as it is, or is quoted where others would read a number,
    so that a later rule refuses it: ``12,5`` is never read as 125.

    Examples
    --------
    >>> import polars as pl
    >>> texts = pl.Series("price", ["1.234,5", "12,5", "n/a", "1.23,4"]).to_frame()
    >>> texts.select(plain_number(pl.col("price"), ",", "."))["price"].to_list()
    ['1234.5', '12.5', None, "'1.23,4'"]
    """
    text = column.str.strip_chars()
    text = pl.when(~text.is_in(NOT_KNOWN)).then(text.str.replace_all("\u2212", "-", literal=True))
    if decimal_mark == "." and thousands_mark is None:
        return text
    mark = MARKS.get(thousands_mark, "") if thousands_mark else ""
    grouped = rf"|\d{{1,3}}(?:{mark}\d{{3}})+" if mark else ""
    is_by_the_marks = text.str.contains(rf"^[+-]?(?:\d*{grouped})(?:{MARKS[decimal_mark]}\d*)?(?:[eE][+-]?\d+)?$")
    plain = text.str.replace_all(mark, "") if mark else text
    if decimal_mark == ".":
        return pl.when(is_by_the_marks).then(plain).otherwise(text)
    # A point is no decimal mark in this file. Quoted, such a text is unreadable for everybody.
    quoted = pl.when(text.str.contains(".", literal=True)).then(pl.concat_str(pl.lit("'"), text, pl.lit("'")))
    return pl.when(is_by_the_marks).then(plain.str.replace(",", ".", literal=True)).otherwise(quoted.otherwise(text))


def find_number_format(texts: pl.Series) -> NumberFormat:
    """Return the marks of numbers.

    Parameters
    ----------
    texts
        Of all columns of numbers of a file.

    Examples
    --------
    >>> import polars as pl
    >>> find_number_format(pl.Series(["1,234.5", "12.25"])).evidence
    "numbers are written 1,234.5: '.' before decimals, ',' between thousands"
    >>> find_number_format(pl.Series(["1,234", "2,345"])).is_ambiguous
    True
    """
    texts = texts.drop_nulls().str.strip_chars()

    def example(pattern: str) -> str | None:
        found = texts.filter(texts.str.contains(pattern))
        return found[0] if len(found) else None

    comma = example(r"^[+-]?\d{1,3}(?:\.\d{3})+,\d*$") or example(r"^[+-]?\d{1,3}(?:\.\d{3}){2,}$")
    comma = comma or example(rf"^[+-]?\d{{1,3}}(?:(?:{SPACES}|{QUOTES})\d{{3}})+,\d*$")
    comma = comma or example(r"^[+-]?\d*,(?:\d{1,2}|\d{4,})$") or example(r"^[+-]?(?:0|\d{4,}),\d+$")
    point = example(r"^[+-]?\d{1,3}(?:,\d{3})+\.\d*$") or example(r"^[+-]?\d{1,3}(?:,\d{3}){2,}$")
    point = point or example(r"^[+-]?\d*\.(?:\d{1,2}|\d{4,})$") or example(r"^[+-]?(?:0|\d{4,})\.\d+$")
    counts = {
        ",": texts.str.contains(r"^[+-]?[\d.' \u00a0\u2009\u202f]*,(?:\d{1,2}|\d{4,})$").sum(),
        ".": texts.str.contains(r"^[+-]?[\d,' \u00a0\u2009\u202f]*\.(?:\d{1,2}|\d{4,})$").sum(),
    }
    decimal = "," if comma else "."
    if comma and point:
        decimal = max(counts, key=lambda mark: counts[mark])
    either = example(r"^[+-]?[1-9]\d{0,2},\d{3}$")
    if not comma and not point and either:
        return NumberFormat(".", ",", f"numbers are written {either}", is_ambiguous=True)
    return _with_thousands(decimal, texts, example)


def _with_thousands(decimal: str, texts: pl.Series, example: Callable[[str], str | None]) -> NumberFormat:
    after = r"(?:\.\d*)?$" if decimal == "." else r"(?:,\d*)?$"
    for mark, pattern in MARKS.items():
        if mark == decimal:
            continue
        grouped = example(rf"^[+-]?\d{{1,3}}(?:{pattern}\d{{3}})+{after}")
        if grouped:
            return NumberFormat(
                decimal, mark, f"numbers are written {grouped}: '{decimal}' before decimals, '{mark}' between thousands"
            )
    shown = example(rf"\d[{decimal}]\d") or (texts[0] if len(texts) else "")
    return NumberFormat(decimal, None, f"numbers are written {shown}: '{decimal}' before decimals, no thousands mark")
