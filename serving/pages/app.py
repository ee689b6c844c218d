"""The dashboard as an ASGI application: pages, static files, and the guard in front of them."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from lake.errors import QuantlakeError, UnknownNameError
from serving.pages.dashboard import Dashboard
from serving.pages.guard import Guard
from serving.pages.headers import SecurityHeaders
from serving.pages.measuring import PageTimes
from serving.pages.policy import page_policy
from serving.pages.rendering import STATIC, error_page, failure_page
from serving.pages.routes import ROUTES
from serving.pages.site import SiteFiles
from serving.web.http.arrival import CorrelationIds

if TYPE_CHECKING:
    import os

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Scope

    from lake.settings import Settings

logger = logging.getLogger("quantlake.pages")
SMALLEST_ZIPPED = 1_000
"""Bytes of the smallest answer that is compressed."""


def build_dashboard(settings: "Settings", dashboard: Dashboard | None = None, root: str = "") -> "ASGIApp":
    """Return the application of a home.

    Parameters
    ----------
    settings
        Say which home, and at which port of loopback it is served.
    dashboard
        What its pages read and who is logged in; opened from the settings by default.
    root
        Path that another application serves it below, behind a host check of its own, and without the events of start
        and stop: whoever mounts it closes the dashboard.
    """
    opened = dashboard or Dashboard.open(settings, root)
    app = Starlette(
        routes=[
            *(Route(path, page, methods=[method]) for method, path, page in ROUTES),
            Mount("/static", _Static()),
            Mount("/docs", SiteFiles()),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=SMALLEST_ZIPPED)],
        lifespan=_lifespan,
        exception_handlers={HTTPException: _refused, QuantlakeError: _failed, Exception: _broken},
    )
    app.state.dashboard = opened
    port = None if root else settings.dashboard_port
    policy = page_policy()
    guard = Guard(app, policy, opened.sessions, opened.cookie, port)
    return CorrelationIds(PageTimes(SecurityHeaders(guard), policy))


@asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    """End the connections to the endpoint with the process."""
    yield
    await to_thread.run_sync(app.state.dashboard.close)


class _Static(StaticFiles):
    """Static files that a browser asks for anew each time, and has only sent where they changed."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    def file_response(
        self,
        full_path: "str | os.PathLike[str]",
        stat_result: "os.stat_result",
        scope: "Scope",
        status_code: int = 200,
    ) -> "Response":
        """Return a file, or that it has not changed."""
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["cache-control"] = "no-cache"
        return answer


async def _refused(request: "Request", error: Exception) -> "Response":
    """Page of a status that the framework raises."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return error_page(request.scope, status, "No such page", "Nothing lies at this address. Start at the watch list.")


async def _failed(request: "Request", error: Exception) -> "Response":
    """Page of an error that this project raises on purpose: its own sentence says what to do."""
    if isinstance(error, UnknownNameError):
        return error_page(request.scope, 404, f"Unknown {error.kind}", str(error))
    logger.warning("%s cannot be shown: %s", request.url.path, error)
    assert isinstance(error, QuantlakeError)
    return failure_page(request.scope, error)


async def _broken(request: "Request", _error: Exception) -> "Response":
    """Page of a fault of the program; the framework has its traceback logged."""
    sentence = "The page could not be made. The log of the dashboard has the reason under the number below."
    return error_page(request.scope, 500, "A fault of the dashboard", sentence)
