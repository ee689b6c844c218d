"""Log in with a key or with the link of the terminal, and log out."""

from typing import TYPE_CHECKING, NamedTuple

from anyio import to_thread
from starlette.responses import RedirectResponse

from serving.access import local_key
from serving.monitoring.metrics import LOGINS
from serving.pages.guard import session_of
from serving.pages.login import take_code
from serving.pages.rendering import html, root_of
from serving.pages.routes.forms import Form, address_of, of_own_pages, page_after, read_form

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api import Caller
    from serving.pages.dashboard import Dashboard
    from serving.pages.login import LoginSession


class LoginRefusal(NamedTuple):
    """Why an attempt was refused: status, result among those of the metric, and a sentence with the next step."""

    status: int
    result: str
    sentence: str


WRONG = LoginRefusal(
    401,
    "wrong_key",
    "This key opens nothing: it is unknown, revoked or at its end. `quantlake keys list` shows those in force.",
)
USED = LoginRefusal(
    401,
    "used_link",
    "This link was used, is older than a minute, or was replaced. `quantlake dashboard --link` shows a new one.",
)
TOO_OFTEN = LoginRefusal(
    429,
    "too_often",
    "Five attempts to log in were made from this address within a minute. Wait a minute, then try again.",
)


async def show(request: "Request") -> "Response":
    """Show the form; the link of the terminal logs in at once."""
    dashboard: Dashboard = request.app.state.dashboard
    after = page_after(request.query_params, root_of(request.scope))
    code = request.query_params.get("code")
    if code is None:
        return RedirectResponse(after, 303) if session_of(request) else _asked(request, after)
    if not dashboard.attempts.allow(address_of(request)):
        return _refused(request, after, TOO_OFTEN)
    if not await to_thread.run_sync(take_code, dashboard.settings, code):
        return _refused(request, after, USED)
    caller = dashboard.access.find(await to_thread.run_sync(local_key, dashboard.settings))
    return _refused(request, after, WRONG) if caller is None else _begin(request, caller, after)


async def log_in(request: "Request") -> "Response":
    """Take a key and begin a session; the key is neither kept nor shown again."""
    dashboard: Dashboard = request.app.state.dashboard
    form = await read_form(request)
    after = page_after(form, root_of(request.scope))
    if not dashboard.attempts.allow(address_of(request)):
        return _refused(request, after, TOO_OFTEN)
    caller = dashboard.access.find(form.get("key", "").strip())
    return _refused(request, after, WRONG) if caller is None else _begin(request, caller, after)


@of_own_pages
async def log_out(request: "Request", _session: "LoginSession", _form: Form) -> "Response":
    """End the session."""
    dashboard: Dashboard = request.app.state.dashboard
    for identifier in dashboard.cookie.values(request.scope):
        dashboard.sessions.end(identifier)
    answer = RedirectResponse(f"{root_of(request.scope)}/login", 303)
    dashboard.cookie.drop(answer)
    return answer


def _asked(request: "Request", after: str, message: str = "", status: int = 200) -> "Response":
    """Ask for a key."""
    return html(request.scope, "login.html", status, message=message, after=after)


def _refused(request: "Request", after: str, refusal: LoginRefusal) -> "Response":
    """Count a refusal, say why, and ask again."""
    LOGINS.labels(refusal.result).inc()
    return _asked(request, after, refusal.sentence, refusal.status)


def _begin(request: "Request", caller: "Caller", after: str) -> "Response":
    dashboard: Dashboard = request.app.state.dashboard
    LOGINS.labels("accepted").inc()
    answer = RedirectResponse(after, 303)
    dashboard.cookie.keep(answer, dashboard.sessions.begin(caller))
    return answer
