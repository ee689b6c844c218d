"""The pages of the back-tests: all of them, and one with its equity, costs, folds and fills."""

from typing import TYPE_CHECKING

from lake.calendars import count_closes
from serving import backtest
from serving.pages.routes.frame import Visit
from serving.pages.views.backtests import backtest_lines, backtest_view

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def show_all(request: "Request") -> "Response":
    """Show every back-test that was known, the newest first."""
    visit = Visit.of(request)
    found = backtest.list_backtests(visit.tables.reader, visit.as_of.instant)
    return visit.page("backtests.html", "Back-tests", lines=backtest_lines(found))


def show(request: "Request") -> "Response":
    """Show one back-test that was known."""
    visit = Visit.of(request)
    lake, at = visit.tables.reader, visit.as_of.instant
    found = backtest.backtest_named(lake, at, request.path_params["backtest_id"])
    equity = backtest.equity_of(lake, at, found.backtest_id)
    fills = backtest.fills_of(lake, at, found.backtest_id)
    later = count_closes(found.row["event_time"], at, visit.dashboard.market.grid)
    shown = backtest_view(found, equity, fills, later)
    return visit.page("backtest.html", f"Back-test {found.row['strategy']}", shown=shown)
