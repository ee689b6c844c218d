"""Log in with a key or with the link of the terminal, and log out."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.responses import RedirectResponse

from serving.access import local_key
from serving.access.browsers import cookie_values
from serving.pages.guard import cookie_name, session_of
from serving.pages.login import LONGEST_SECONDS, is_form_of, take_code
from serving.pages.rendering import error_page, html

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.api import Caller
    from serving.pages.dashboard import Dashboard

MOST_BYTES = 4_096
"""Of a form; a key has fewer than a hundred."""
WRONG = "This key opens nothing: it is unknown, revoked or at its end. `quantlake keys list` shows those in force."
USED = "This link was used, is older than a minute, or was replaced. `quantlake dashboard --link` shows a new one."
TOO_OFTEN = "Five attempts to log in were made from this address within a minute. Wait a minute, then try again."


async def show(request: "Request") -> "Response":
    """Show the form; the link of the terminal logs in at once."""
    dashboard: Dashboard = request.app.state.dashboard
    after = _inside(request.query_params.get("next", "/"))
    code = request.query_params.get("code")
    if code is None:
        return RedirectResponse(after, 303) if session_of(request) else html("login.html", message="", after=after)
    if not dashboard.attempts.allow(_address(request)):
        return html("login.html", 429, message=TOO_OFTEN, after=after)
    if not await to_thread.run_sync(take_code, dashboard.settings, code):
        return html("login.html", 401, message=USED, after=after)
    caller = dashboard.access.find(await to_thread.run_sync(local_key, dashboard.settings))
    return html("login.html", 401, message=WRONG, after=after) if caller is None else _begin(request, caller, after)


async def log_in(request: "Request") -> "Response":
    """Take a key and begin a session; the key is neither kept nor shown again."""
    dashboard: Dashboard = request.app.state.dashboard
    form = await read_form(request)
    after = _inside(form.get("next", "/"))
    if not dashboard.attempts.allow(_address(request)):
        return html("login.html", 429, message=TOO_OFTEN, after=after)
    caller = dashboard.access.find(form.get("key", "").strip())
    return html("login.html", 401, message=WRONG, after=after) if caller is None else _begin(request, caller, after)


async def log_out(request: "Request") -> "Response":
    """End the session."""
    dashboard: Dashboard = request.app.state.dashboard
    session = session_of(request)
    form = await read_form(request)
    if session is None or not is_form_of(session, form.get("form_token", "")):
        return error_page(request.scope, 403, "Not from here", "The form is not one of this session. Reload the page.")
    name = cookie_name(dashboard.settings.dashboard_port)
    for identifier in cookie_values(request.scope, name):
        dashboard.sessions.end(identifier)
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(name, path="/", httponly=True, samesite="strict")
    return answer


async def read_form(request: "Request") -> dict[str, str]:
    """Return the fields of a form, the last of each name; none where it is larger than any of ours."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return {name: values[-1] for name, values in fields.items()}


def _begin(request: "Request", caller: "Caller", after: str) -> "Response":
    dashboard: Dashboard = request.app.state.dashboard
    answer = RedirectResponse(after, 303)
    answer.set_cookie(
        cookie_name(dashboard.settings.dashboard_port),
        dashboard.sessions.begin(caller),
        max_age=int(LONGEST_SECONDS),
        path="/",
        httponly=True,
        samesite="strict",
    )
    return answer


def _inside(address: str) -> str:
    """A page of the dashboard to go on to; the watch list in place of an address that leads elsewhere."""
    parts = urlsplit(address)
    is_ours = (
        address.startswith("/") and not address.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    )
    return address if is_ours and address.isprintable() else "/"


def _address(request: "Request") -> str:
    return request.client.host if request.client else ""
