"""How long pages take, by address as it is declared: never by what a visitor asked for."""

import time
from typing import TYPE_CHECKING

from serving.monitoring import metrics
from serving.pages.guard import page_path

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serving.access import Policy

OTHER = "other"
"""Page of an address that is not declared."""


class PageTimes:
    """ASGI middleware: observe the time to the start of each answer, refusals included.

    Parameters
    ----------
    app
        Application behind it.
    policy
        Declares the pages.
    """

    def __init__(self, app: "ASGIApp", policy: "Policy") -> None:
        self._app, self._policy = app, policy

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rule = self._policy.rule(scope["method"], page_path(scope))
        page, started = OTHER if rule is None else rule.path, time.perf_counter()

        async def noting(message: "Message") -> None:
            if message["type"] == "http.response.start":
                part = metrics.timer(metrics.PAGE_SECONDS, page, str(message["status"]))
                metrics.observe(part, time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, noting)
