"""A file on disk as a table of texts: CSV and its kin in any usual encoding, gzipped or not, or Parquet."""

import csv
import gzip
import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import polars as pl

from lake.errors import SourceError

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES = 200
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}


@dataclass(frozen=True)
class TextTable:
    """What a file holds, every cell a text or null, its column names trimmed; empty rows are left out."""

    frame: pl.DataFrame
    delimiter: str | None
    encoding: str
    digest: str


def read_table(path: Path, delimiter: str | None = None) -> TextTable:
    """Read a whole file as text.

    Parameters
    ----------
    delimiter
        Between the cells of a line; None has it found.

    Raises
    ------
    SourceError
        If it is no file, empty, binary, a workbook, ragged, or has no line of column names.
    """
    content = _bytes(path)
    digest = hashlib.sha256(content).hexdigest()
    if content[:4] == b"PAR1":
        return TextTable(_from_parquet(path, content), None, "Parquet", digest)
    if content[:2] == b"PK":
        raise SourceError(f"{path.name} is a workbook or a zip archive. Save the sheet as CSV and name that file.")
    text, encoding = _decoded(path, content)
    if not text.strip():
        raise SourceError(f"{path.name} is empty. A price file has a line of column names and a row per bar.")
    delimiter = delimiter or find_delimiter(text)
    return TextTable(_from_text(path, text, delimiter), delimiter, encoding, digest)


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise SourceError(f"{path.name} is a folder. Name one file in it.")
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except FileNotFoundError as error:
        raise SourceError(f"There is no file {path}. Check the path, or give it in full.") from error
    except (OSError, EOFError) as error:
        raise SourceError(f"{path.name} cannot be read: {error}.") from error
    return content


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """Text and encoding: by the byte order mark, else UTF-8, else the Western code page of Windows."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            try:
                return _one_newline(content.decode(encoding)), encoding
            except UnicodeDecodeError as error:
                raise SourceError(f"{path.name} begins as {encoding} and is none: {error.reason}.") from error
    sample = content[:65_536]
    odd = sum(byte < 32 and byte not in b"\t\n\r\f" for byte in sample)  # noqa: PLR2004 - control characters
    if 0 in sample or odd > len(sample) / 100:
        raise SourceError(f"{path.name} is binary and no Parquet. Name a CSV, another delimited text, or Parquet.")
    try:
        return _one_newline(content.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        return _one_newline(content.decode("cp1252", errors="replace")), "cp1252"


def _one_newline(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def find_delimiter(text: str) -> str:
    r"""Return what parts the cells: the character that gives most lines as many cells as the first one.

    Examples
    --------
    >>> find_delimiter("Date;Close\n02.01.2024;12,5\n03.01.2024;13,1\n")
    ';'
    """
    lines = list(islice((line for line in io.StringIO(text) if line.strip()), SAMPLE_LINES))

    def fit(delimiter: str) -> tuple[float, int]:
        widths = [len(cells) for cells in csv.reader(lines, delimiter=delimiter)]
        if not widths or widths[0] < 2:  # noqa: PLR2004 - a date and a price at least
            return 0.0, 0
        return Counter(widths)[widths[0]] / len(widths), widths[0]

    return max(DELIMITERS, key=fit)


def _from_text(path: Path, text: str, delimiter: str) -> pl.DataFrame:
    try:
        frame = pl.read_csv(
            text.encode(), has_header=False, infer_schema=False, separator=delimiter, raise_if_empty=False
        )
    except pl.exceptions.ComputeError as error:
        raise SourceError(f"{path.name} cannot be read as a table: {_why_ragged(text, delimiter, error)}") from error
    names = [clean_name(name or "", number) for number, name in enumerate(frame.row(0), start=1)]
    if frame.width < 2:  # noqa: PLR2004 - a date and a price at least
        raise SourceError(
            f"{path.name} has one column, '{names[0][:60]}', when its cells are parted by a "
            f"{NAMES.get(delimiter, delimiter)}. Give the delimiter, e.g. delimiter=;"
        )
    if any(_is_data(name) for name in names):
        raise SourceError(
            f"The first line of {path.name} is data, '{delimiter.join(names)[:60]}'. "
            "Add a line of column names, e.g. symbol,date,close."
        )
    _require_distinct(path, names)
    frame.columns = names
    return _without_empty_rows(path, frame[1:])


def clean_name(name: str, number: int) -> str:
    """Return a column's name as it is shown: no white space round it, never empty."""
    return " ".join(name.replace("\ufeff", "").split()) or f"column {number}"


def is_unnamed(name: str) -> bool:
    """Return whether a column has no name of its own in the file, such as row numbers that were written with it."""
    return re.fullmatch(r"column \d+|Unnamed: \d+", name) is not None


def _is_data(name: str) -> bool:
    """Whether a column's name is a date or a price."""
    digits = sum(letter.isdigit() for letter in name)
    is_number = name.replace(".", "", 1).replace(",", "").replace("-", "").isdigit() and ("." in name)
    is_date = digits in {6, 8} and digits + 2 == len(name) and sum(map(name.count, "-/.")) == 2  # noqa: PLR2004 - two marks
    return is_number or is_date


def _why_ragged(text: str, delimiter: str, error: Exception) -> str:
    rows = csv.reader(io.StringIO(text), delimiter=delimiter)
    width = len(next(rows, []))
    for cells in rows:
        if len(cells) > width:
            return (
                f"line {rows.line_num} has {len(cells)} cells and the first line {width}. "
                "Quote the cells that hold the delimiter, or give another delimiter."
            )
    return f"{str(error).splitlines()[0]}."


def _from_parquet(path: Path, content: bytes) -> pl.DataFrame:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SourceError(f"{path.name} begins as Parquet and is damaged: {str(error).splitlines()[0]}.") from error
    nested = [name for name, dtype in frame.schema.items() if dtype.is_nested() or dtype in {pl.Binary, pl.Object}]
    if nested:
        raise SourceError(
            f"The column '{nested[0]}' of {path.name} holds {frame.schema[nested[0]]}, not one value a row."
        )
    names = [clean_name(name, number) for number, name in enumerate(frame.columns, start=1)]
    _require_distinct(path, names)
    frame = frame.select(_as_text(name, dtype) for name, dtype in frame.schema.items())
    frame.columns = names
    return _without_empty_rows(path, frame)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        return column.dt.to_string("iso:strict")
    return column.dt.to_string("iso") if dtype == pl.Date else column.cast(pl.String)


def _require_distinct(path: Path, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SourceError(f"{path.name} has {names.count(twice[0])} columns named '{twice[0]}'. Rename all but one.")


def _without_empty_rows(path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    filled = frame.filter(~pl.all_horizontal((pl.all().str.strip_chars() == "").fill_null(value=True)))
    if filled.is_empty():
        raise SourceError(f"{path.name} has column names and no rows.")
    return filled
