"""The pages of the desk: its accounts beside 1/N, and one decision with all its votes."""

from typing import TYPE_CHECKING

from lake.calendars import count_closes
from serving import desk
from serving.api import ADVICE_DISCLAIMER
from serving.pages.routes.frame import Visit
from serving.pages.views.desk import decision_view, desk_view

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def show(request: "Request") -> "Response":
    """Show every account that was known."""
    visit = Visit.of(request)
    found = desk.desk_records(visit.tables.reader, visit.as_of.instant)
    at, grid = visit.as_of.instant, visit.dashboard.market.grid
    shown = [desk_view(each, count_closes(each.equity[-1]["event_time"], at, grid)) for each in found]
    return visit.page("desk.html", "Desk", accounts=shown, advice_disclaimer=ADVICE_DISCLAIMER)


def show_decision(request: "Request") -> "Response":
    """Show one decision that was known."""
    visit = Visit.of(request)
    wanted = request.path_params["decision_id"]
    found = desk.decision_record(visit.tables.reader, visit.as_of.instant, wanted)
    return visit.page(
        "decision.html", f"Decision {wanted}", shown=decision_view(found), advice_disclaimer=ADVICE_DISCLAIMER
    )
