"""What every request passes through: a bound on its size, and its measurement."""

import logging
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter, Histogram

from serving import problem_kinds, problems

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("quantlake.serving")

BODY_BYTES = 262_144
"""Largest request body: a batch of 5,000 symbols takes about a third of it."""

REQUESTS = Counter("quantlake_requests", "Requests by route and status", ["route", "status"])
SECONDS = Histogram(
    "quantlake_request_seconds",
    "Time from the request's arrival to its answer",
    ["route"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
FORECASTS = Counter("quantlake_forecasts", "Forecasts given, by what computed them", ["model"])


class LimitBody:
    """Refuse a body over `BODY_BYTES` with 413, whether it announces its length or not.

    Parameters
    ----------
    app
        Application behind it; it gets the whole body as one message.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Read the body up to the bound and hand it on."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []
        size, has_more = announced_length(scope), True
        while has_more and size <= BODY_BYTES:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            parts.append(message.get("body", b""))
            size, has_more = sum(map(len, parts)), message.get("more_body", False)
        if size > BODY_BYTES:
            await _too_large(scope)(scope, receive, send)
            return
        is_given = False

        async def replay() -> "Message":
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}

        await self._app(scope, replay, send)


class Measure:
    """Count requests and their time by route template, so that identifiers in paths make no new series.

    Parameters
    ----------
    app
        Application behind it.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass the request on and note what came of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status, is_started = time.perf_counter(), 500, False

        async def note(message: "Message") -> None:
            nonlocal status, is_started
            if message["type"] == "http.response.start":
                status, is_started = message["status"], True
            await send(message)

        try:
            await self._app(scope, receive, note)
        except Exception:
            # The framework has answered already, and raises what it could not handle for whoever watches over it.
            logger.exception("unforeseen error at %s", scope["path"])
            if not is_started:
                detail = "The request could not be answered."
                await problems.respond(problem_kinds.INTERNAL, detail, scope)(scope, receive, note)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            REQUESTS.labels(route, str(status)).inc()
            SECONDS.labels(route).observe(time.perf_counter() - started)


def announced_length(scope: "Scope") -> int:
    """Length the request says its body has; 0 when it says none or nonsense."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(scope: "Scope") -> "Response":
    detail = f"The request body is larger than {BODY_BYTES} bytes."
    return problems.respond(problem_kinds.TOO_LARGE, detail, scope, headers={"connection": "close"})
