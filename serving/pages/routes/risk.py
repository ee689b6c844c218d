"""The page of risk: the switch with its forms, limits, exposures, value at risk, and alerts."""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import to_thread
from starlette.responses import RedirectResponse

from lake.errors import QuantlakeError
from lake.tables import BARS, FORECASTS, LABELS, STRATEGY_ASSIGNMENTS
from serving.alerting import acknowledge, channels_of, read_alerts
from serving.pages.rendering import error_page, root_of
from serving.pages.routes.forms import Form, address_of, of_own_pages
from serving.pages.routes.frame import Visit
from serving.pages.views import risk as views
from serving.pages.views.panels import panel_of
from serving.risk import (
    RiskReport,
    Scope,
    SwitchState,
    limits_of,
    read_latch,
    restrict,
    resume,
    risk_report,
    settle,
)

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from serving.pages.dashboard import Dashboard
    from serving.pages.login import LoginSession

SHOWN_ALERTS, KEPT_REPORTS = 50, 8
SOURCES = (STRATEGY_ASSIGNMENTS, FORECASTS, BARS, LABELS)
"""Tables that a report is made from; it is made anew when one of them has a new version."""
NOT_OWN = "The key that was shown is not the one that this browser is logged in with. Show that one to resume."
TOO_OFTEN = "Five keys were shown from this address within a minute. Wait a minute, then try again."


def show(request: "Request") -> "Response":
    """Show who may trade now, and the risk of the paper portfolio as it was known."""
    visit = Visit.of(request)
    configured = visit.dashboard.settings
    found = panel_of(lambda: views.risk_view(_report(visit)))
    alerts = panel_of(lambda: views.alert_lines(read_alerts(configured.home)[:SHOWN_ALERTS]))
    has_channels = panel_of(lambda: bool(channels_of(configured)))
    return visit.page(
        "risk.html",
        "Risk",
        switch=views.switch_view(read_latch(configured.home)),
        found=found,
        alerts=alerts,
        channels=has_channels,
    )


@of_own_pages
async def halt(request: "Request", session: "LoginSession", form: Form) -> "Response":
    """Stop a scope; it is in force when the page is shown again."""
    state: SwitchState = "reducing" if form.get("state") == "reducing" else "halted"
    change = partial(_restrict, state=state, by=session.caller.who, reason=form.get("reason", ""))
    return await _change(request, change, form)


@of_own_pages
async def release(request: "Request", session: "LoginSession", form: Form) -> "Response":
    """Let a scope trade again; a session outlives no key, so the key itself is to be shown for that."""
    dashboard: Dashboard = request.app.state.dashboard
    if not dashboard.attempts.allow(address_of(request)):
        return error_page(request.scope, 429, "Not resumed", TOO_OFTEN)
    shown = dashboard.access.find(form.get("key", "").strip())
    if shown is None or shown.via == "token" or shown.key_id != session.caller.key_id or not shown.may("operator"):
        return error_page(request.scope, 403, "Not resumed", NOT_OWN)
    name = form.get("name", "").strip()
    if not name:
        return error_page(request.scope, 400, "Not changed", "Say who answers for it: the name is missing.")
    by = f"{name[:40]} ({shown.who})"
    return await _change(request, partial(_resume, by=by, reason=form.get("reason", "")), form)


@of_own_pages
async def take_over(request: "Request", session: "LoginSession", form: Form) -> "Response":
    """Acknowledge an alert in somebody's name."""
    dashboard: Dashboard = request.app.state.dashboard
    by, who = form.get("name", ""), session.caller.who
    try:
        await to_thread.run_sync(partial(acknowledge, dashboard.settings, form.get("alert", "")[:20], by=by, who=who))
    except QuantlakeError as error:
        return error_page(request.scope, 400, "Not acknowledged", str(error))
    return _back(request)


def _restrict(home: "Path", *, state: "SwitchState", **said: Any) -> object:
    return restrict(home, state, **said)


def _resume(home: "Path", **said: Any) -> object:
    return resume(home, **said)


async def _change(request: "Request", change: "partial[object]", form: Form) -> "Response":
    dashboard: Dashboard = request.app.state.dashboard
    home = dashboard.settings.home
    try:
        await to_thread.run_sync(lambda: change(home, scope=Scope.parse(form.get("scope", "account"))))
    except QuantlakeError as error:
        return error_page(request.scope, 400, "Not changed", str(error))
    with suppress(QuantlakeError, OSError):  # it is in force, and its rows wait in the latch for the tables
        await to_thread.run_sync(settle, dashboard.settings)
    return _back(request)


def _report(visit: Visit) -> RiskReport:
    """Return the report, computed once for each state of what it is made from."""
    dashboard, at = visit.dashboard, visit.as_of.instant
    limits = limits_of(dashboard.settings)
    reader, kept = dashboard.tables.reader, dashboard.risk_reports
    key = (at, repr(limits), *(reader.version(spec) for spec in SOURCES if reader.exists(spec)))
    if key not in kept:
        made = risk_report(reader, at, limits)
        while len(kept) >= KEPT_REPORTS:
            kept.pop(next(iter(kept)), None)  # the oldest; another visit may have taken it already
        kept[key] = made
    return kept[key]


def _back(request: "Request") -> "Response":
    return RedirectResponse(f"{root_of(request.scope)}/risk", 303)
