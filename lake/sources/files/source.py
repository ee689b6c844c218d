"""A price file as a source of bars."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import polars as pl

from lake.clock import require_utc
from lake.errors import ConfigError, SourceError
from lake.horizons import INTERVALS
from lake.names import NameHistory
from lake.sources.base import BarBatch
from lake.sources.files.index import equal_weight_index
from lake.sources.files.mapping import NUMBERS, FileMapping
from lake.sources.files.rows import raw_rows, with_reasons
from lake.sources.files.tables import read_table
from lake.tables import RAW_BARS

CONTENT = ("symbol", "stamp", *NUMBERS, "price_basis")
"""What makes a delivery this delivery and no other."""
LICENCE = "not stated by the file"
UNKNOWN_METHOD = "The prices were adjusted by whoever made the file, by a method that it does not state."
NO_DIVIDENDS = "The prices are adjusted for splits only: returns leave dividends out."
AS_TRADED = "The prices are as traded without an adjusted close: splits and dividends show as returns."
OWN_INDEX = "The index is the mean return of the file's symbols, each with the same weight."


@dataclass(frozen=True)
class FileSource:
    """A source that reads a price file by its mapping, afresh at each question.

    Every row of the file is given, also one that the rules of `lake.refine` will refuse: a row on a day without a
    session is stamped in the last second of the day, one whose day cannot be read with its text, and both are refused
    with a reason. A symbol that has no canonical spelling is null, and refused for that.

    An equal-weight index is made of the rows that pass the rules, where the mapping names no index.
    """

    mapping: FileMapping
    names: NameHistory = field(default_factory=NameHistory)
    """Names of the file's instruments over time, so that the index knows a renamed one for the same."""
    name: str = "file"
    lookback: None = None
    """The whole file is offered each time; ingestion stores only what is new or different."""

    @property
    def caveats(self) -> tuple[str, ...]:
        """What belongs beside every figure made from these bars."""
        has_adjusted = "adj_close" in self.mapping.columns
        of_basis = {
            "as_traded": UNKNOWN_METHOD if has_adjusted else AS_TRADED,
            "split_adjusted": UNKNOWN_METHOD if has_adjusted else NO_DIVIDENDS,
            "fully_adjusted": UNKNOWN_METHOD,
        }
        own_index = () if self.mapping.index else (OWN_INDEX,)
        return (of_basis[self.mapping.price_basis], *own_index)

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``, under an id that follows from what they say.

        Raises
        ------
        SourceError
            If the file cannot be read, holds no day that can be read, or its rows are as far apart as no
            bars that are loaded.
        ConfigError
            If the file holds a symbol of the index's name beside an index that is made.
        UnknownNameError
            If the file has no column of a name in the mapping.
        """
        if self.mapping.interval not in INTERVALS:
            raise SourceError(
                f"The rows of {self.mapping.file.name} are {self.mapping.interval} apart, and bars of "
                f"{', '.join(INTERVALS)} are loaded. Make a file of one row per symbol and bar of one of these."
            )
        table = read_table(self.mapping.file, self.mapping.delimiter)
        rows = raw_rows(table.frame, self.mapping)
        if rows["event_time"].null_count():
            raise SourceError(
                f"No day in the column '{self.mapping.time}' of {self.mapping.file.name} is written "
                f"{self.mapping.time_format}. Look at the file anew, or correct time_format."
            )
        rows = _with_index(rows, self.mapping, self.names)
        is_due = pl.col("event_time") <= require_utc(until)
        is_due &= True if after is None else pl.col("event_time") > require_utc(after)
        due = rows.filter(is_due).sort("event_time", "symbol", maintain_order=True, nulls_last=True)
        batch_id = f"{self.name}:{digest_of(due)}"
        is_as_traded = (self.mapping.price_basis == "as_traded") & pl.col("close").is_not_null()
        later_splits = pl.when(is_as_traded).then(pl.lit("1"))
        return BarBatch(
            batch_id,
            due.with_row_index("row")
            .with_columns(
                pl.col("row").cast(pl.Int64),
                pl.col("event_time").alias("known_time"),
                pl.lit("assumed").alias("known_basis"),
                pl.lit(self.name).alias("source"),
                pl.lit(f"{self.mapping.file.name} sha256:{table.digest[:16]}").alias("package"),
                pl.lit(self.mapping.licence or LICENCE).alias("licence"),
                pl.lit(batch_id).alias("batch_id"),
                pl.lit(datetime.now(UTC)).alias("received_at"),
                later_splits.alias("later_splits"),
            )
            .select(RAW_BARS.names),
        )


def digest_of(rows: pl.DataFrame) -> str:
    """Return what identifies rows by what they say, in their order."""
    digest = hashlib.sha256()
    for name in CONTENT:
        column = rows[name]
        lengths = column.str.len_bytes().fill_null(2**32 - 1).cast(pl.UInt32)  # so that no two columns run together
        digest.update(lengths.to_numpy().tobytes())
        digest.update(column.str.join("", ignore_nulls=True).item().encode() if len(column) else b"")
    return digest.hexdigest()[:24]


def _with_index(rows: pl.DataFrame, mapping: FileMapping, names: NameHistory) -> pl.DataFrame:
    """Add the bars of the equal-weight index, closes only, behind the rows of the file."""
    if mapping.index is not None:
        return rows
    if (rows["symbol"] == mapping.index_name).any():
        raise ConfigError(
            f"The file has a symbol {mapping.index_name}, and the index that is made has that name. "
            "Set index to that symbol, or index_name to another name."
        )
    good = with_reasons(rows, mapping.grid).filter(pl.col("reason").is_null())
    good = good.with_columns(names.resolved().alias("symbol")).drop_nulls("symbol")
    levels = equal_weight_index(good.select("symbol", "event_time", pl.col("adj_close_value").alias("price")))
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in NUMBERS if name != "adj_close"]
    bars = levels.select(
        pl.lit(mapping.index_name).alias("symbol"),
        pl.lit(None, dtype=pl.String).alias("written"),
        pl.col("event_time").dt.date().alias("day"),
        pl.col("event_time").dt.to_string("iso:strict").alias("stamp"),
        pl.col("level").cast(pl.String).alias("adj_close"),
        pl.lit("adjusted_close_only").alias("price_basis"),
        pl.col("event_time"),
        *missing,
    )
    return pl.concat([rows, bars.select(rows.columns)])
