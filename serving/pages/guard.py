"""Guard of the dashboard: host, session, role and origin of every request, before any page is made."""

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from starlette.responses import RedirectResponse

from serving.access.browsers import OWN_NAMES, SAFE_METHODS, cross_site_reason, is_own_host
from serving.access.exposure import is_from_here
from serving.pages.rendering import error_page, root_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from serving.access import Policy, Rule
    from serving.pages.login import LoginSession, LoginSessions, SessionCookie


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
    cookie
        Holds the id of a session.
    port
        Port that the dashboard is served at on loopback; None where a host check stands in front of this guard.
    """

    def __init__(
        self, app: "ASGIApp", policy: "Policy", sessions: "LoginSessions", cookie: "SessionCookie", port: int | None
    ) -> None:
        self._app, self._policy, self._sessions = app, policy, sessions
        self._cookie, self._port = cookie, port

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, lead to the login, or refuse."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["session"] = session = self._session(scope)
        rule = self._policy.rule(scope["method"], page_path(scope))
        refusal = self._refusal(scope, rule, session)
        if refusal is not None:
            await error_page(scope, *refusal)(scope, receive, send)
        elif rule is not None and session is None and not _is_open(rule, scope):
            await _to_login(scope)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _session(self, scope: "Scope") -> "LoginSession | None":
        found = map(self._sessions.find, self._cookie.values(scope))
        return next((session for session in found if session is not None), None)

    def _refusal(self, scope: "Scope", rule: "Rule | None", session: "LoginSession | None") -> PageRefusal | None:
        if self._port is not None and not is_own_host(scope, self._port):
            ours = ", ".join(f"{name}:{self._port}" for name in OWN_NAMES)
            return PageRefusal(421, "Another host", f"The dashboard answers to {ours}. Open it under one of them.")
        is_change = scope["method"] not in SAFE_METHODS
        if (session is not None or is_change) and (reason := cross_site_reason(scope)):
            return PageRefusal(403, "Not from here", reason)
        if rule is None:
            methods = self._policy.methods(page_path(scope))
            if methods:
                return PageRefusal(405, "Not this way", f"This address takes {', '.join(methods)}.")
            return PageRefusal(404, "No such page", "Nothing lies at this address. Start at the watch list.")
        if session is not None and rule.needs != "open" and not session.caller.may(rule.role):
            sentence = f"This page needs a key with the role {rule.role}; yours has the role {session.caller.role}."
            return PageRefusal(403, "Not with this key", f"{sentence} Log in with another key to see it.")
        return None


def session_of(request: "Request") -> "LoginSession | None":
    """Who is logged in, on a page that is open to everyone."""
    found: LoginSession | None = request.state.session
    return found


def _is_open(rule: "Rule", scope: "Scope") -> bool:
    """Whether a request needs no login."""
    return rule.needs == "open" or (rule.needs == "local" and is_from_here(scope))


def _to_login(scope: "Scope") -> RedirectResponse:
    """Lead to the login, and back from there where the page can be opened again."""
    root = root_of(scope)
    query = scope["query_string"].decode("latin-1")
    asked = scope["path"] + (f"?{query}" if query else "")
    if scope["method"] not in SAFE_METHODS or asked == f"{root}/":
        return RedirectResponse(f"{root}/login", 303)
    return RedirectResponse(f"{root}/login?next={quote(asked, safe='')}", 303)


def page_path(scope: "Scope") -> str:
    """Return the path of a page below the root that the dashboard is served at."""
    path: str = scope["path"]
    return path.removeprefix(root_of(scope))
