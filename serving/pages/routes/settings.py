"""Settings of a visitor: list, appearance, keys and sessions."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.responses import RedirectResponse

from serving.access import keys
from serving.pages.appearance import CHOICES
from serving.pages.rendering import error_page, root_of
from serving.pages.routes.forms import Form, address_of, of_own_pages
from serving.pages.routes.frame import Visit
from serving.pages.routes.watch_list import own_symbols
from serving.pages.views import settings as views
from serving.pages.views.panels import panel_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from serving.access import Key
    from serving.api import Caller
    from serving.pages.dashboard import Dashboard
    from serving.pages.login import LoginSession

NOT_OWN = "The key that was shown is not the one that this browser is logged in with. Show that one to revoke a key."
NOT_LISTED = "Keys other than your own are revoked by a key of the role operator, which lists them here."
TOO_OFTEN = "Five keys were shown from this address within a minute. Wait a minute, then try again."


def show(request: "Request") -> "Response":
    """Show the visitor's list, appearance, keys and sessions; of keys an operator sees every one of the home."""
    visit = Visit.of(request)
    dashboard, caller = visit.dashboard, visit.session.caller
    used, now = keys.last_used(dashboard.settings), datetime.now(UTC)
    return visit.page(
        "settings.html",
        "Settings",
        listed=panel_of(partial(own_symbols, visit)),
        choices={choice.name: (choice.known, choice.of(request.scope)) for choice in CHOICES},
        keys=views.key_lines(_keys_of(dashboard, caller), used, caller.key_id, now),
        sessions=views.session_lines(dashboard.sessions.of_key(visit.session)),
    )


@of_own_pages
async def end_other_sessions(request: "Request", session: "LoginSession", _form: Form) -> "Response":
    """Log every other browser of the key out."""
    dashboard: Dashboard = request.app.state.dashboard
    dashboard.sessions.end_others(session)
    return _back(request)


@of_own_pages
async def revoke_key(request: "Request", session: "LoginSession", form: Form) -> "Response":
    """Revoke a key; a session outlives no key, so the key itself is to be shown for that."""
    dashboard: Dashboard = request.app.state.dashboard
    if not dashboard.attempts.allow(address_of(request)):
        return error_page(request.scope, 429, "Not revoked", TOO_OFTEN)
    shown = dashboard.access.find(form.get("key", "").strip())
    if shown is None or shown.via == "token" or shown.key_id != session.caller.key_id:
        return error_page(request.scope, 403, "Not revoked", NOT_OWN)
    chosen = form.get("key_id", "")
    if chosen not in {key.id for key in _keys_of(dashboard, shown)}:
        return error_page(request.scope, 403, "Not revoked", NOT_LISTED)
    await to_thread.run_sync(partial(keys.revoke, dashboard.settings, chosen, by=shown.who))
    return _back(request)


def _keys_of(dashboard: "Dashboard", caller: "Caller") -> "list[Key]":
    """Return the keys that a caller may list and revoke: the own one, or every one for an operator."""
    listed = keys.listing(dashboard.settings)
    return [key for key in listed if caller.may("operator") or key.id == caller.key_id]


def _back(request: "Request") -> "Response":
    return RedirectResponse(f"{root_of(request.scope)}/settings", 303)
