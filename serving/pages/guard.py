"""Guard of the dashboard: host, session, role and origin of every request, before any page is made."""

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from starlette.responses import RedirectResponse

from serving.access.browsers import OWN_NAMES, SAFE_METHODS, cookie_values, cross_site_reason, is_own_host
from serving.pages.rendering import error_page

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from serving.access import Policy, Rule
    from serving.pages.login import LoginSession, LoginSessions


class PageRefusal(NamedTuple):
    """Why a request gets no page: status, title, and a sentence with the next step."""

    status: int
    title: str
    sentence: str


class Guard:
    """ASGI middleware: passes on what the policy allows, with the session in ``scope["state"]["session"]``.

    Parameters
    ----------
    app
        Application behind it.
    policy
        What each page needs.
    sessions
        Who is logged in.
    port
        Port that the dashboard is served at on loopback.
    """

    def __init__(self, app: "ASGIApp", policy: "Policy", sessions: "LoginSessions", port: int) -> None:
        self._app, self._policy, self._sessions, self._port = app, policy, sessions, port

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, lead to the login, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["session"] = session = self._session(scope)
        rule = self._policy.rule(scope["method"], scope["path"])
        refusal = self._refusal(scope, rule, session)
        if refusal is not None:
            await error_page(scope, *refusal)(scope, receive, send)
        elif rule is not None and rule.needs != "open" and session is None:
            await _to_login(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _session(self, scope: "Scope") -> "LoginSession | None":
        found = (self._sessions.find(value) for value in cookie_values(scope, cookie_name(self._port)))
        return next((session for session in found if session is not None), None)

    def _refusal(self, scope: "Scope", rule: "Rule | None", session: "LoginSession | None") -> PageRefusal | None:
        if not is_own_host(scope, self._port):
            ours = ", ".join(f"{name}:{self._port}" for name in OWN_NAMES)
            return PageRefusal(421, "Another host", f"The dashboard answers to {ours}. Open it under one of them.")
        is_change = scope["method"] not in SAFE_METHODS
        if (session is not None or is_change) and (reason := cross_site_reason(scope)):
            return PageRefusal(403, "Not from here", reason)
        if rule is None:
            methods = self._policy.methods(scope["path"])
            if methods:
                return PageRefusal(405, "Not this way", f"This address takes {', '.join(methods)}.")
            return PageRefusal(404, "No such page", "Nothing lies at this address. Start at the watch list.")
        if session is not None and rule.needs != "open" and not session.caller.may(rule.role):
            sentence = f"This page needs a key with the role {rule.role}; yours has the role {session.caller.role}."
            return PageRefusal(403, "Not with this key", f"{sentence} Log in with another key to see it.")
        return None


def cookie_name(port: int) -> str:
    """Name of the session's cookie; cookies are shared by all ports of a host."""
    return f"quantlake-dashboard-{port}"


def session_of(request: "Request") -> "LoginSession | None":
    """Who is logged in, on a page that is open to everyone."""
    found: LoginSession | None = request.state.session
    return found


def _to_login(scope: "Scope") -> RedirectResponse:
    """Lead to the login, and back from there where the page can be opened again."""
    if scope["method"] not in SAFE_METHODS:
        return RedirectResponse("/login", 303)
    query = scope["query_string"].decode("latin-1")
    asked = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse("/login" if asked == "/" else f"/login?next={quote(asked, safe='')}", 303)
