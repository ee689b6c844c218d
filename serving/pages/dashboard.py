"""What the pages of one home read, and who is logged in."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Self

from lake.store import LakeReader
from serving.access.checks import Access
from serving.client import Client
from serving.history import KnownTables
from serving.pages.endpoint import ANSWER_SECONDS, Endpoint
from serving.pages.live import LiveForecasts
from serving.pages.login import Attempts, LoginSessions, SessionCookie

if TYPE_CHECKING:
    from datetime import datetime

    from lake.clock import Clock
    from lake.market import Market
    from lake.settings import Settings
    from serving.risk import RiskReport


@dataclass(frozen=True)
class Dashboard:
    """One home behind the pages.

    Parameters
    ----------
    settings
        Of the home.
    access
        Finds who holds a key.
    sessions, cookie, attempts
        Who is logged in, what holds the id of a session, and how often an address tried.
    endpoint
        Asked in the name of whoever is logged in.
    live
        Tells open pages of new forecasts.
    tables
        Tables as they were known at an instant.
    clock
        Time of the market.
    risk_reports
        Reports of risk that were made, by what they are made from.
    """

    settings: "Settings"
    access: Access
    sessions: LoginSessions
    cookie: SessionCookie
    attempts: Attempts
    endpoint: Endpoint
    live: LiveForecasts
    tables: KnownTables
    clock: "Clock"
    risk_reports: "dict[object, RiskReport]" = field(default_factory=dict)

    @classmethod
    def open(cls, settings: "Settings", root: str = "") -> Self:
        """Open the home of some settings, with pages below a root path."""
        access = Access(settings)
        return cls(
            settings=settings,
            access=access,
            sessions=LoginSessions(access.is_in_force),
            cookie=SessionCookie.of(settings, root),
            attempts=Attempts(),
            endpoint=Endpoint(settings, access),
            live=LiveForecasts(partial(Client.local, settings, attempts=1, timeout_seconds=ANSWER_SECONDS), root=root),
            tables=KnownTables(LakeReader.open(settings)),
            clock=settings.clock,
        )

    @property
    def market(self) -> "Market":
        """The market of the home."""
        return self.settings.declared_market

    def close(self) -> None:
        """End the connections to the endpoint."""
        self.live.close()
        self.endpoint.close()

    def now(self) -> "datetime":
        """Where the market stands."""
        return self.clock.now()
