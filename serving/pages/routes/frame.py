"""What every page shows around its content: who is logged in, the session looked back to, and the market's time."""

from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from lake import calendars
from lake.errors import UnknownNameError
from serving import history
from serving.forecasts import BLEND
from serving.pages.guard import session_of
from serving.pages.rendering import html, root_of
from serving.pages.views.as_of import AsOfChoice, as_of_choice

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import HTMLResponse

    from lake.market import Market
    from serving.client import Client
    from serving.pages.dashboard import Dashboard
    from serving.pages.login import LoginSession

CHOSEN = ("horizon", "list", "search", "order")
"""What a page keeps of its query, beside the session looked back to, when another session is chosen."""


@dataclass(frozen=True)
class Visit:
    """One request for a page by somebody who is logged in.

    Parameters
    ----------
    dashboard
        What the pages read.
    session
        Who asks.
    as_of
        The session that is looked back to.
    horizon
        How far ahead, as the tables count it.
    """

    request: "Request"
    dashboard: "Dashboard"
    session: "LoginSession"
    as_of: AsOfChoice
    horizon: int

    @classmethod
    def of(cls, request: "Request") -> "Visit":
        """Return the visit of a request that passed the guard.

        Raises
        ------
        UnknownNameError
            If the market has no such horizon, or ``as_of`` is no day.
        """
        dashboard: Dashboard = request.app.state.dashboard
        session = session_of(request)
        assert session is not None  # the guard lets nobody else in
        market, now = dashboard.market, dashboard.now()
        asked = _day(request.query_params.get("as_of", ""))
        closed = calendars.closes(market.grid).filter(pl.col("event_time") <= now)
        choice = as_of_choice(closed["session"].to_list(), asked, history.instant_as_of(market, asked, now))
        return cls(request, dashboard, session, choice, horizon_of(request, market))

    @cached_property
    def tables(self) -> history.KnownTables:
        """Tables as they were known at an instant, looked up once for all parts of the page."""
        return self.dashboard.tables.for_one_answer()

    @cached_property
    def client(self) -> "Client":
        """The endpoint, asked in the name of whoever is logged in."""
        return self.dashboard.endpoint.of(self.session.caller)

    @property
    def horizons(self) -> dict[int, str]:
        """Horizons of the market, in words."""
        market = self.dashboard.market
        return {bars: str(market.horizon_of(bars)) for bars in market.horizon_bars}

    @cached_property
    def models(self) -> list[str]:
        """Models with a walk-forward score or a matured replay that was known at the session looked back to."""
        return self.models_at(self.as_of.instant)

    def models_at(self, at: datetime) -> list[str]:
        """Return the models with a walk-forward score or a matured replay that was known at an instant."""
        tables = self.tables
        scored = {model.model for model in history.models_of(tables, at)}
        replayed = {record.group for record in history.records_by(tables, "model_name", self.horizon, at)}
        return sorted((scored | replayed) - {BLEND})

    def page(self, template: str, title: str, **values: Any) -> "HTMLResponse":
        """Return a page with its frame around it."""
        path = self.request.url.path.removeprefix(self.root)
        return html(self.request.scope, template, title=title, visit=self, path=path, **values)

    @property
    def root(self) -> str:
        """Path that the dashboard is served below."""
        return root_of(self.request.scope)

    @property
    def address(self) -> str:
        """Where this very page is, for a form to lead back to."""
        url = self.request.url
        return f"{url.path}?{url.query}" if url.query else url.path

    @property
    def chosen(self) -> dict[str, str]:
        """What was chosen on this page beside the session looked back to."""
        asked = self.request.query_params
        return {name: asked[name] for name in CHOSEN if asked.get(name)}

    def at(self, day: date | None) -> str:
        """Return the address of this page at another session, None for live, with what else was chosen."""
        return self.request.url.path + self.as_of.query(day, **self.chosen)

    def link(self, path: str, **others: object) -> str:
        """Return the address of another page at the same session and horizon."""
        kept = {} if self.horizon == self.dashboard.market.horizon_bars[0] else {"horizon": self.horizon}
        return self.root + path + self.as_of.here(**(kept | others))


def _day(text: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UnknownNameError("day", text[:20], ["2012-12-31"]) from None


def horizon_of(request: "Request", market: "Market") -> int:
    """Return the horizon that a request names, as the tables count it; the first of the market if none.

    Raises
    ------
    UnknownNameError
        If the market has no such horizon.
    """
    known = market.horizon_bars
    text = request.query_params.get("horizon", "")
    if not text:
        return known[0]
    if text not in map(str, known):
        raise UnknownNameError("horizon", text[:20], [str(bars) for bars in known])
    return int(text)
