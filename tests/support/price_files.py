"""Price files for tests: a small market, and every dialect in which somebody writes one."""

from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from pathlib import Path

import polars as pl

from lake.calendars import closes

FIELDS = ("open", "high", "low", "close", "volume")
FIRST, LAST = date(2023, 1, 3), date(2024, 6, 28)


def sessions(calendar: str = "XNYS", first: date = FIRST, last: date = LAST) -> list[date]:
    """Sessions of a calendar between two days, both included."""
    return closes(calendar).filter(pl.col("session").is_between(first, last))["session"].to_list()


def market(symbols: list[str], days: list[date]) -> pl.DataFrame:
    """Return bars as a person would print them: two decimals, no day like another, no jump."""
    rows = [
        {
            "symbol": symbol,
            "day": day,
            "open": f"{20 + 7 * place + number % 13 / 10 + 0.05:.2f}",
            "high": f"{22 + 7 * place + number % 13 / 10 + 0.25:.2f}",
            "low": f"{18 + 7 * place + number % 13 / 10:.2f}",
            "close": f"{20 + 7 * place + number % 17 / 10 + 0.15:.2f}",
            "volume": str(1_000 + 1_234 * place + 17 * number),
        }
        for (place, symbol), (number, day) in product(enumerate(symbols), enumerate(days))
    ]
    return pl.DataFrame(rows)


@dataclass(frozen=True)
class Dialect:
    """A way of writing a file of delimited text."""

    delimiter: str = ","
    decimal_mark: str = "."
    thousands_mark: str = ""
    date_format: str = "%Y-%m-%d"
    newline: str = "\n"
    encoding: str = "utf-8"
    names: tuple[str, ...] = ("Ticker", "Date", "Open", "High", "Low", "Close", "Volume")

    def number(self, text: str) -> str:
        """Write a plain number with the marks of the dialect."""
        whole, point, decimals = text.partition(".")
        grouped = f"{int(whole):,}".replace(",", self.thousands_mark)
        return f"{grouped}{self.decimal_mark if point else ''}{decimals}"

    def day(self, day: date) -> str:
        """Write a date."""
        if self.date_format == "excel":
            return str((day - date(1899, 12, 30)).days)
        return datetime(day.year, day.month, day.day).strftime(self.date_format)  # noqa: DTZ001 - a date as printed

    def cell(self, text: str) -> str:
        """Quote a cell that holds the delimiter."""
        return f'"{text}"' if self.delimiter in text else text

    def write(self, path: Path, bars: pl.DataFrame) -> Path:
        """Write a long file, one row per bar in the order of the frame."""
        lines = [self.delimiter.join(self.names)]
        for row in bars.iter_rows(named=True):
            cells = [row["symbol"], self.day(row["day"]), *(self.number(row[name]) for name in FIELDS)]
            lines.append(self.delimiter.join(map(self.cell, cells)))
        return _written(path, lines, self)

    def write_wide(self, path: Path, bars: pl.DataFrame) -> Path:
        """Write the closes, a row per day and a column per symbol; a cell is empty where there is no bar."""
        wide = bars.pivot(on="symbol", index="day", values="close", sort_columns=False)
        lines = [self.delimiter.join([self.names[1], *map(self.cell, wide.columns[1:])])]
        for day, *prices in wide.iter_rows():
            cells = [self.day(day), *("" if price is None else self.number(price) for price in prices)]
            lines.append(self.delimiter.join(map(self.cell, cells)))
        return _written(path, lines, self)


def _written(path: Path, lines: list[str], dialect: Dialect) -> Path:
    path.write_bytes((dialect.newline.join(lines) + dialect.newline).encode(dialect.encoding))
    return path
