"""The daily back-test: what following the selection would have earned, beside 1/N, up to the newest session."""

import time
from typing import TYPE_CHECKING

from lake.clock import Clock
from lake.errors import NotReadyError
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
        Of `backtests`; skipped, with the reason, where nothing changed, and in a young market that has no sessions to
        score yet. ``details`` hold the figures beside those of 1/N and naive, and the path of the picture.
    """
    started = time.perf_counter()
    before = lake.version(BACKTESTS) if lake.exists(BACKTESTS) else None
    try:
        found = run_backtest(lake, settings, clock, load_strategy(SELECTED))
    except NotReadyError as error:
        # A market whose models are new has few sessions beyond the embargo: that is no fault of the run.
        standing = lake.report(BACKTESTS) if before is not None else Report(BACKTESTS.name, skipped=True)
        return standing.with_details(seconds=time.perf_counter() - started, reason=str(error))
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
