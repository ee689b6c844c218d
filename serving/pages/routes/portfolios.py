"""The pages of the portfolios: all of them beside 1/N, and each by itself."""

from typing import TYPE_CHECKING

from lake.errors import NotReadyError
from serving import history
from serving.api import PAST_PERFORMANCE
from serving.pages.routes.frame import Visit
from serving.pages.views.panels import Panel
from serving.pages.views.portfolios import portfolio_lines, portfolio_view

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def show_all(request: "Request") -> "Response":
    """Show every portfolio that had weights."""
    visit = Visit.of(request)
    lines = portfolio_lines(history.portfolios_of(visit.tables, visit.as_of.instant))
    return visit.page("portfolios.html", "Portfolios", lines=lines, past_performance=PAST_PERFORMANCE)


def show(request: "Request") -> "Response":
    """Show one portfolio: its weights beside 1/N, its no-trade band, trades and reviews."""
    visit = Visit.of(request)
    name, tables, at = request.path_params["name"], visit.tables, visit.as_of.instant
    try:
        panel = Panel(portfolio_view(history.portfolio_of(tables, name, at)))
    except NotReadyError as error:  # a name that there is not has a page of its own
        panel = Panel(None, "empty", str(error))
    return visit.page("portfolio.html", name, name=name, panel=panel, past_performance=PAST_PERFORMANCE)
