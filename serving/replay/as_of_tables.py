"""Tables as they stood: what a forecast read, read again at the recorded versions; and which file is to blame."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.online.rows import newest_rows
from feature_repo.online.views import REGIME, STRATEGY
from feature_repo.targets.windows import FORECAST_V1, Windows, build_windows
from lake.errors import NotReadyError, QuantlakeError
from lake.store.digests import altered
from lake.tables import BARS, CALIBRATIONS, MODEL_WINDOWS
from serving.receipts import Finding

if TYPE_CHECKING:
    from lake.spec import TableSpec
    from lake.store import Lake

LOOKBACK = timedelta(days=365)
"""How far back the rows of a window may lie."""
UNREADABLE = (QuantlakeError, pl.exceptions.PolarsError, OSError)


class UnreadablePastError(Exception):
    """A table cannot be read as it stood; says which part of it is to blame."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = list(findings)


@dataclass(frozen=True)
class Past:
    """The tables behind forecasts that were read from the same versions.

    Parameters
    ----------
    tables
        Delta version by table.
    symbols, first, last
        Whose rows are wanted, and of which sessions.
    """

    lake: "Lake"
    tables: Mapping[str, int]
    symbols: Sequence[str]
    first: datetime
    last: datetime

    @cached_property
    def windows(self) -> pl.DataFrame:
        """Model inputs, every restatement: symbol, event_time, known_time, window, feature_hash, reference_price."""
        mine = (pl.col("signature") == FORECAST_V1.name) & self._is_wanted()
        return self._read(MODEL_WINDOWS, mine)

    @cached_property
    def prices(self) -> pl.DataFrame:
        """Reference prices, every restatement."""
        rows = self._read(BARS, self._is_wanted())
        price = pl.coalesce("close_unadjusted", "close").alias("reference_price")
        return rows.select("symbol", "event_time", "known_time", price)

    @cached_property
    def features(self) -> pl.DataFrame:
        """Rows that the windows were cut from, every restatement."""
        near = pl.col("event_time").is_between(self.first - LOOKBACK, self.last)
        rows = self._read(FEATURES_TECHNICAL, near & pl.col("symbol").is_in(list(self.symbols)))
        return rows.select("symbol", "event_time", "known_time", *FORECAST_V1.features)

    @cached_property
    def calibrations(self) -> pl.DataFrame:
        """Corrections, by the close they were learned at."""
        return self._read(CALIBRATIONS, None)

    def windows_known(self, known: datetime, sessions: Sequence[datetime]) -> Windows:
        """Cut the windows again from the features known at an instant."""
        rows = self.features.filter(pl.col("known_time") <= known)
        newest = rows.sort("known_time").unique(["symbol", "event_time"], keep="last", maintain_order=True)
        return build_windows(newest, FORECAST_V1, at=sessions)

    def prices_known(self, known: datetime) -> dict[tuple[str, datetime], float]:
        """Reference price of each symbol and session as known at an instant."""
        rows = self.prices.filter(pl.col("known_time") <= known).sort("known_time")
        return {(symbol, at): price for symbol, at, _, price in rows.iter_rows()}

    def strategies(self, until: datetime) -> dict[str, dict[str, object]]:
        """The assignment of each symbol that the online store was filled with."""
        rows = self._attempt(
            STRATEGY.table, lambda: newest_rows(self.lake, STRATEGY, until, self.tables[STRATEGY.table.name])
        )
        return {row["symbol"]: row for row in rows.iter_rows(named=True)}

    def regime(self, until: datetime) -> str | None:
        """The regime that the online store was filled with."""
        rows = self._attempt(
            REGIME.table, lambda: newest_rows(self.lake, REGIME, until, self.tables[REGIME.table.name])
        )
        return str(rows["regime"][-1]) if rows.height else None

    def suspects(self, spec: "TableSpec", where: pl.Expr) -> list[str]:
        """Files of a table that hold some rows, those first whose size is not what the log says."""
        return suspects(self.lake, spec, self.tables[spec.name], where)

    def _is_wanted(self) -> pl.Expr:
        return pl.col("event_time").is_between(self.first, self.last) & pl.col("symbol").is_in(list(self.symbols))

    def _read(self, spec: "TableSpec", where: pl.Expr | None) -> pl.DataFrame:
        return self._attempt(spec, lambda: self.lake.read(spec, where=where, version=self.tables[spec.name]))

    def _attempt(self, spec: "TableSpec", read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        if spec.name not in self.tables:
            raise UnreadablePastError([Finding("receipt", spec.name, "the version that was read is not known")])
        try:
            return read()
        except UNREADABLE as error:
            raise UnreadablePastError(why_unreadable(self.lake, spec, self.tables[spec.name], error)) from error


def why_unreadable(lake: "Lake", spec: "TableSpec", version: int, error: Exception) -> list[Finding]:
    """Name the files that keep a version from being read, or else say what reading it says."""
    try:
        files = lake.contents(spec, version).files
    except NotReadyError as gone:
        return [Finding("table version", f"{spec.name}@{version}", str(gone))]
    except UNREADABLE as damaged:
        return [Finding("table version", f"{spec.name}@{version}", str(damaged))]
    findings = []
    for path, size in files.select("path", "size_bytes").iter_rows():
        if said := _fault_of(Path(path), size):
            findings.append(Finding("parquet file", path, said))
    return findings or [Finding("table version", f"{spec.name}@{version}", str(error))]


def suspects(lake: "Lake", spec: "TableSpec", version: int, where: pl.Expr) -> list[str]:
    """Files of a version that hold some rows; only those that are not of the size the log says, where there are any."""
    files = lake.contents(spec, version).files
    holding = [
        (path, size)
        for path, size in files.select("path", "size_bytes").iter_rows()
        if pl.scan_parquet(path, hive_partitioning=False).filter(where).head(1).collect().height
    ]
    changed = [path for path, size in holding if Path(path).stat().st_size != size or altered([path], anew=True)]
    return changed or [path for path, _ in holding]


def _fault_of(path: Path, size: int) -> str:
    if not path.exists():
        return "it is missing, so what was read from it cannot be read again"
    if path.stat().st_size != size:
        return f"it has {path.stat().st_size:,} bytes, the log says {size:,}: it was altered"
    if altered([path], anew=True):
        return "its bytes are not those whose digest is in its name: it was altered"
    try:
        pl.read_parquet(path, hive_partitioning=False)
    except UNREADABLE as error:
        return f"it cannot be read: {str(error).splitlines()[0]}"
    return ""
