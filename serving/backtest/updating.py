"""The daily back-test: what following the selection would have earned, beside 1/N, up to the newest session."""

import time
from typing import TYPE_CHECKING

from lake.clock import Clock
from lake.report import Report
from lake.store import Lake
from lake.tables import BACKTESTS
from serving.backtest.picture import draw_backtest
from serving.backtest.reading import equity_of
from serving.backtest.running import run_backtest
from serving.backtest.strategy_file import SELECTED, load_strategy

if TYPE_CHECKING:
    from lake.settings import Settings


def update_backtests(lake: Lake, settings: "Settings", clock: Clock) -> Report:
    """Back-test the selected strategies of the pool where bars, forecasts or decisions changed since the last time.

    Returns
    -------
    Report
        Of `backtests`; skipped where nothing changed. ``details`` hold the figures beside those of 1/N and naive, and
        the path of the picture.

    Raises
    ------
    NotReadyError
        If there are no replayed forecasts, or no sessions beyond the embargo yet.
    """
    started = time.perf_counter()
    before = lake.version(BACKTESTS) if lake.exists(BACKTESTS) else None
    found = run_backtest(lake, settings, clock, load_strategy(SELECTED))
    report = lake.report(BACKTESTS, added=int(lake.version(BACKTESTS) != before), started=started)
    if report.skipped:
        return report.with_details(reason="the same bars, forecasts and decisions were back-tested before")
    row = found.row
    names = (
        "backtest_id", "sessions", "net_return", "sharpe", "equal_weight_net_return", "equal_weight_sharpe",
        "naive_net_return", "dsr", "trials", "shuffles_ahead",
    )  # fmt: skip
    curves = equity_of(lake, clock.now(), found.backtest_id)
    return report.with_details(
        **{name: row[name] for name in names},
        picture=draw_backtest(found, curves, settings.reports / "backtest.png"),
    )
