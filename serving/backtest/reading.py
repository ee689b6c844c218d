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
    if not lake.exists(BACKTESTS):
        return []
    rows = lake.read_as_of(BACKTESTS, as_of)
    rows = rows.sort("known_time", "ran_at", "backtest_id", descending=True)
    return [record_of(row) for row in rows.iter_rows(named=True)]


def latest_backtest(lake: LakeReader, as_of: datetime, strategy: str | None = None) -> BacktestRecord | None:
    """Return the newest back-test that was known at an instant; None where none was run.

    Parameters
    ----------
    strategy
        Only of the strategy of this name, e.g. ``selected``.
    """
    found = [each for each in list_backtests(lake, as_of) if strategy in (None, each.row["strategy"])]
    return found[0] if found else None


def backtest_named(lake: LakeReader, as_of: datetime, backtest_id: str | None) -> BacktestRecord:
    """Return the back-test of an identifier, or of its first digits where these name one only; None: the newest.

    Raises
    ------
    NotReadyError
        If no back-test was run by then.
    UnknownNameError
        If none, or several, have such an identifier.
    """
    every = list_backtests(lake, as_of)
    if not every:
        raise NotReadyError("No back-test was run yet. Run one with `quantlake backtest run selected`.")
    found = every[:1] if backtest_id is None else [each for each in every if each.backtest_id.startswith(backtest_id)]
    if len(found) != 1:
        raise UnknownNameError("back-test", str(backtest_id)[:40], [each.backtest_id for each in every])
    return found[0]


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
