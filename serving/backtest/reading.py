"""Stored back-tests, as known at an instant."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from lake.errors import NotReadyError, UnknownNameError
from lake.store import LakeReader
from lake.tables import BACKTEST_FILLS, BACKTEST_SESSIONS, BACKTESTS
from serving.backtest.report import require_nulls


@dataclass(frozen=True)
class BacktestRecord:
    """One stored back-test.

    Parameters
    ----------
    row
        Columns of `backtests`, by name, the JSON ones left out.
    strategy_file, report, table_versions
        What these hold.
    """

    row: Mapping[str, Any]
    strategy_file: Mapping[str, Any]
    report: Mapping[str, Any]
    table_versions: Mapping[str, int]

    @property
    def backtest_id(self) -> str:
        """Its identifier."""
        return str(self.row["backtest_id"])

    def plain(self) -> dict[str, Any]:
        """Return everything as one dict, for a program."""
        return {
            **self.row,
            "strategy_file": self.strategy_file,
            "report": self.report,
            "table_versions": self.table_versions,
        }


JSON_COLUMNS = ("strategy_file", "report", "table_versions")


def record_of(row: Mapping[str, Any]) -> BacktestRecord:
    """Return a row of `backtests` as a record.

    Raises
    ------
    SchemaError
        If its report lacks 1/N or naive.
    """
    held = {name: json.loads(row[name]) for name in JSON_COLUMNS}
    require_nulls(held["report"])
    return BacktestRecord({name: value for name, value in row.items() if name not in JSON_COLUMNS}, **held)


def list_backtests(lake: LakeReader, as_of: datetime) -> list[BacktestRecord]:
    """Return every back-test that was known at an instant, the newest first; none where none was run."""
    return [record_of(row) for row in _newest_first(lake, as_of).iter_rows(named=True)]


def _newest_first(lake: LakeReader, as_of: datetime, where: pl.Expr | None = None) -> pl.DataFrame:
    """Rows of back-tests that were known at an instant, their large reports unparsed."""
    if not lake.exists(BACKTESTS):
        return BACKTESTS.empty()
    rows = lake.read_as_of(BACKTESTS, as_of, where=where)
    return rows.sort("known_time", "ran_at", "backtest_id", descending=True)


def latest_backtest(lake: LakeReader, as_of: datetime, strategy: str | None = None) -> BacktestRecord | None:
    """Return the newest back-test that was known at an instant; None where none was run.

    Parameters
    ----------
    strategy
        Only of the strategy of this name, e.g. ``selected``.
    """
    rows = _newest_first(lake, as_of, None if strategy is None else pl.col("strategy") == strategy)
    return record_of(rows.row(0, named=True)) if rows.height else None


def backtest_named(lake: LakeReader, as_of: datetime, backtest_id: str | None) -> BacktestRecord:
    """Return the back-test of an identifier, or of its first digits where these name one only; None: the newest.

    Raises
    ------
    NotReadyError
        If no back-test was run by then.
    UnknownNameError
        If none, or several, have such an identifier.
    """
    rows = _newest_first(lake, as_of)
    if rows.is_empty():
        raise NotReadyError("No back-test was run yet. Run one with `quantlake backtest run selected`.")
    found = rows.head(1) if backtest_id is None else rows.filter(pl.col("backtest_id").str.starts_with(backtest_id))
    if found.height != 1:
        raise UnknownNameError("back-test", str(backtest_id)[:40], rows["backtest_id"].to_list())
    return record_of(found.row(0, named=True))


def equity_of(lake: LakeReader, as_of: datetime, backtest_id: str) -> pl.DataFrame:
    """Return the rows of `backtest_sessions` of a back-test, by account and session."""
    rows = lake.read_as_of(BACKTEST_SESSIONS, as_of, where=pl.col("backtest_id") == backtest_id)
    return rows.sort("account", "event_time")


def fills_of(lake: LakeReader, as_of: datetime, backtest_id: str) -> pl.DataFrame:
    """Return the rows of `backtest_fills` of a back-test, the newest first."""
    if not lake.exists(BACKTEST_FILLS):
        return BACKTEST_FILLS.empty()
    rows = lake.read_as_of(BACKTEST_FILLS, as_of, where=pl.col("backtest_id") == backtest_id)
    return rows.sort("event_time", "symbol", descending=[True, False])
