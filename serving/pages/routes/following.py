"""Follow and unfollow a symbol: the endpoint's watch list of whoever is logged in, changed in their name."""

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

from anyio import to_thread
from starlette.responses import RedirectResponse

from lake.errors import QuantlakeError, UnknownNameError
from serving.pages.rendering import failure_page, root_of
from serving.pages.routes.forms import Form, of_own_pages, one_of, page_after

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.client import Client
    from serving.pages.dashboard import Dashboard
    from serving.pages.login import LoginSession

Choice = Literal["follow", "unfollow"]
CHOICES: tuple[Choice, ...] = get_args(Choice)


@of_own_pages
async def change(request: "Request", session: "LoginSession", form: Form) -> "Response":
    """Follow a symbol or no longer, and lead back; where the endpoint confirms nothing, say why."""
    dashboard: Dashboard = request.app.state.dashboard
    choice, symbol = one_of("choice", form.get("choice", ""), CHOICES), form.get("symbol", "")
    try:
        await to_thread.run_sync(partial(_change, dashboard, session, choice, symbol))
    except UnknownNameError:
        raise
    except QuantlakeError as error:
        return failure_page(request.scope, error, "The change of your list is not confirmed")
    return RedirectResponse(page_after(form, root_of(request.scope)), 303)


def _change(dashboard: "Dashboard", session: "LoginSession", choice: Choice, symbol: str) -> None:
    """Let the endpoint add or remove the symbol."""
    client: Client = dashboard.endpoint.of(session.caller)
    if choice == "follow":
        client.history.change_watch_list(add=[symbol])
    else:
        client.history.change_watch_list(remove=[symbol])
