"""As-of tables: inputs of a forecast read again at the recorded versions; names the file at fault."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.online import REGIME, STRATEGY, newest_rows
from feature_repo.targets import (
    FORECAST_V2,
    WINDOW_SPECS,
    Windows,
    WindowSpec,
    build_windows,
    reference_price,
    undisclosed_price,
)
from lake.errors import NotReadyError, QuantlakeError
from lake.store import altered_files, newest_known
from lake.tables import BARS, BLEND_WEIGHTS, CALIBRATIONS, MODEL_WINDOWS
from serving.receipts import ReplayFinding

if TYPE_CHECKING:
    from lake.spec import TableSpec
    from lake.store import Lake

LOOKBACK = timedelta(days=365)
"""How far back the rows of a window may lie."""
UNREADABLE = (QuantlakeError, pl.exceptions.PolarsError, OSError)


class UnreadableTablesError(Exception):
    """A table cannot be read at a recorded version; the findings name the parts at fault."""

    def __init__(self, findings: Sequence[ReplayFinding]) -> None:
        super().__init__("; ".join(map(str, findings)))
        self.findings = list(findings)


@dataclass(frozen=True)
class AsOfTables:
    """The tables behind forecasts that were made from the same versions.

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
        """Model inputs, every restatement."""
        return self._read(MODEL_WINDOWS, pl.col("signature").is_in(list(WINDOW_SPECS)) & self._is_wanted())

    @cached_property
    def prices(self) -> pl.DataFrame:
        """Reference prices, every restatement."""
        rows = self._read(BARS, self._is_wanted())
        return rows.select("symbol", "event_time", "known_time", *reference_price(), undisclosed_price())

    @cached_property
    def features(self) -> pl.DataFrame:
        """Rows that the windows were cut from, every restatement."""
        near = pl.col("event_time").is_between(self.first - LOOKBACK, self.last)
        rows = self._read(FEATURES_TECHNICAL, near & pl.col("symbol").is_in(list(self.symbols)))
        return rows.select("symbol", "event_time", "known_time", *FORECAST_V2.features)

    @cached_property
    def calibrations(self) -> pl.DataFrame:
        """Corrections, by the close they were learned at."""
        return self._read(CALIBRATIONS, None)

    @cached_property
    def blend_weights(self) -> pl.DataFrame:
        """Weights of models, by the close they were learned at."""
        return self._read(BLEND_WEIGHTS, None)

    def windows_known(self, known: datetime, sessions: Sequence[datetime], spec: WindowSpec) -> Windows:
        """Cut the windows of a specification again from the features known at an instant."""
        rows = self.features.filter(pl.col("known_time") <= known)
        newest = rows.sort("known_time").unique(["symbol", "event_time"], keep="last", maintain_order=True)
        return build_windows(newest, spec, at=sessions)

    def bars_known(self, known: datetime) -> pl.DataFrame:
        """Bars of the symbols known at an instant, from the first there is up to `last`: kernels look far back."""
        is_wanted = (pl.col("event_time") <= self.last) & pl.col("symbol").is_in(list(self.symbols))
        return newest_known(self._read(BARS, is_wanted).filter(pl.col("known_time") <= known))

    def prices_known(self, known: datetime) -> dict[tuple[str, datetime], dict[str, Any]]:
        """Columns of `prices` of each symbol and session as known at an instant."""
        rows = self.prices.filter(pl.col("known_time") <= known).sort("known_time")
        return {(row["symbol"], row["event_time"]): row for row in rows.iter_rows(named=True)}

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
            raise UnreadableTablesError([ReplayFinding("receipt", spec.name, "the version that was read is not known")])
        try:
            return read()
        except UNREADABLE as error:
            raise UnreadableTablesError(why_unreadable(self.lake, spec, self.tables[spec.name], error)) from error


def window_spec_of(feature_hash: str, hashes: Mapping[str, str]) -> WindowSpec | None:
    """Return the specification of the window with a hash; the newest of them where none has it, None where none is.

    Parameters
    ----------
    hashes
        Hash of the window that was found, by the name of its specification.
    """
    found = [spec for name, spec in WINDOW_SPECS.items() if name in hashes]
    matching = [spec for spec in found if hashes[spec.name] == feature_hash]
    return next(reversed(matching or found), None)


def why_unreadable(lake: "Lake", spec: "TableSpec", version: int, error: Exception) -> list[ReplayFinding]:
    """Name the files that keep a version from being read, or else say what reading it says."""
    try:
        files = lake.contents(spec, version).files
    except NotReadyError as gone:
        return [ReplayFinding("table version", f"{spec.name}@{version}", str(gone))]
    except UNREADABLE as damaged:
        return [ReplayFinding("table version", f"{spec.name}@{version}", str(damaged))]
    findings = []
    for path, size in files.select("path", "size_bytes").iter_rows():
        if fault := _fault_of(Path(path), size):
            findings.append(ReplayFinding("parquet file", path, fault))
    return findings or [ReplayFinding("table version", f"{spec.name}@{version}", str(error))]


def suspects(lake: "Lake", spec: "TableSpec", version: int, where: pl.Expr) -> list[str]:
    """Files of a version that hold some rows; only those that are not of the size the log says, where there are any."""
    files = lake.contents(spec, version).files
    holding = [
        (path, size)
        for path, size in files.select("path", "size_bytes").iter_rows()
        if pl.scan_parquet(path, hive_partitioning=False).filter(where).head(1).collect().height
    ]
    changed = [path for path, size in holding if Path(path).stat().st_size != size or altered_files([path], anew=True)]
    return changed or [path for path, _ in holding]


def _fault_of(path: Path, size: int) -> str:
    if not path.exists():
        return "it is missing, so what was read from it cannot be read again"
    if path.stat().st_size != size:
        return f"it has {path.stat().st_size:,} bytes, the log says {size:,}: it was altered"
    if altered_files([path], anew=True):
        return "its bytes are not those whose digest is in its name: it was altered"
    try:
        pl.read_parquet(path, hive_partitioning=False)
    except UNREADABLE as error:
        return f"it cannot be read: {str(error).splitlines()[0]}"
    return ""
