"""The page of the strategies: which is in force in each regime, and why this one."""

from typing import TYPE_CHECKING

from serving import history
from serving.pages.routes.frame import Visit
from serving.pages.views.strategies import in_force, strategies_view
from serving.strategies import SelectionRule

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def show(request: "Request") -> "Response":
    """Show the decisions that were known."""
    visit = Visit.of(request)
    tables, at = visit.tables, visit.as_of.instant
    selections, regimes = history.selections_of(tables, at), history.regimes_of(tables, at)
    costs = history.choice_costs_of(tables, in_force(selections), at)
    shown = strategies_view(selections, regimes, 1 / SelectionRule().alpha, costs)
    return visit.page("strategies.html", "Strategies", shown=shown)
