"""The stream of new forecasts that live pages follow."""

from functools import partial
from typing import TYPE_CHECKING

from starlette.responses import Response

from serving.pages.live import EventStream
from serving.pages.rendering import error_page
from serving.pages.routes.frame import horizon_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from serving.pages.dashboard import Dashboard

MOST_SYMBOLS = 500
"""Of one stream; a page of the watch list shows fewer."""
NAME_SYMBOLS = f"Name up to {MOST_SYMBOLS} symbols: /stream?symbols=AAPL,IBM"
FULL = "As many live pages are open as may be. Close some, then reload this one; every other page works as before."


async def show(request: "Request") -> "ASGIApp":
    """Tell of each forecast of some symbols over one horizon as it is stored, for as long as the session lasts.

    ``symbols`` are separated by commas. ``Last-Event-ID``, or ``after`` where a page opens a stream anew, is the id of
    the last forecast that was told: those since are told first, as far as they are kept.
    """
    dashboard: Dashboard = request.app.state.dashboard
    symbols = frozenset(filter(None, request.query_params.get("symbols", "").split(",")))
    if not 0 < len(symbols) <= MOST_SYMBOLS:
        return error_page(request.scope, 400, "No symbols", NAME_SYMBOLS)
    ahead = dashboard.market.horizon_of(horizon_of(request, dashboard.market))
    sessions, live = dashboard.sessions, dashboard.live
    identifier = next(filter(sessions.is_alive, dashboard.cookie.values(request.scope)), "")
    if live.is_full:
        return error_page(request.scope, 503, "Too many live pages", FULL)
    after = request.headers.get("last-event-id") or request.query_params.get("after", "")
    if request.method == "HEAD":
        return Response(media_type="text/event-stream")
    reader = live.join(symbols, ahead, after)
    return EventStream(reader.waiting, partial(sessions.is_alive, identifier), partial(live.leave, reader))
