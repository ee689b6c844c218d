"""Correlation id, duration and access-log line of each request: the outermost middleware.

The id comes from the client's ``X-Correlation-ID``, from the trace that a ``traceparent`` names, or is made here. It
stands in the answer's header, in problem documents, in log lines and in the receipts of the forecasts that were made.
"""

import logging
import os
import re
import time
from typing import TYPE_CHECKING, Any

from serving.api import problem_kinds
from serving.monitoring import FIRST_ERROR, FIRST_FAULT, current_correlation_id, metrics, route_of
from serving.web.http import problems

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from lake.settings import AccessLog
    from serving.predict import Answers

logger = logging.getLogger("quantlake.serving")
accessed = logging.getLogger("quantlake.access_log")

HEADER = b"x-correlation-id"
ACCEPTED = re.compile(rb"[0-9A-Za-z-]{1,64}")
"""An id of a client: the letters of UUIDs, ULIDs and trace ids, and of no key or token."""
TRACE = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
NO_TRACE = b"0" * 32
ID_BYTES = 16
STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
SHOWN_IDS = 5


class CorrelationIds:
    """Set the correlation id of each request and WebSocket.

    Parameters
    ----------
    app
        Application behind it; it finds the id in ``scope["state"]["correlation_id"]``.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Find or make the id, and put it into the answer."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        identifier = correlation_id(scope)
        scope.setdefault("state", {})["correlation_id"] = identifier
        current_correlation_id.set(identifier)
        header = (HEADER, identifier.encode())

        async def sending(message: "Message") -> None:
            if message["type"] in STARTS:
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self._app(scope, receive, sending)


class RequestMetrics:
    """Record the duration of requests by route template and status, and log some of them.

    Parameters
    ----------
    app
        Application behind it.
    access_log
        Which requests get a line: those with an error or a delay, all, or none.
    slow_ms
        From when on a request counts as slow.
    """

    def __init__(self, app: "ASGIApp", access_log: "AccessLog" = "problems", slow_ms: float = 250.0) -> None:
        self._app, self._access_log, self._slow_seconds = app, access_log, slow_ms / 1e3

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass the request on and record its result."""
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
            logger.exception("unforeseen error", extra={"route": route_of(scope)})
            if not is_started:
                detail = "The request could not be answered."
                await problems.respond(problem_kinds.INTERNAL, detail, scope)(scope, receive, note)
        finally:
            self._note(scope, status, time.perf_counter() - started)

    def _note(self, scope: "Scope", status: int, seconds: float) -> None:
        route = route_of(scope)
        metrics.observe(metrics.timer(metrics.REQUEST_SECONDS, route, str(status)), seconds)
        if status >= FIRST_ERROR:
            metrics.PROBLEMS.labels(scope["state"].get("problem", "other"), str(status)).inc()
        is_worth_it = status >= FIRST_ERROR or seconds >= self._slow_seconds
        if self._access_log == "all" or (is_worth_it and self._access_log == "problems"):
            _log(scope, route, status, seconds)


def correlation_id(scope: "Scope") -> str:
    """Return the client's id if it is one, else that of its trace, else a new one of 32 hexadecimal digits."""
    trace = None
    for name, value in scope["headers"]:
        if name == HEADER and ACCEPTED.fullmatch(value):
            return str(value.decode())
        if name == b"traceparent" and (found := TRACE.fullmatch(value)) and found[1] != NO_TRACE:
            trace = found[1].decode()
    return trace or os.urandom(ID_BYTES).hex()


def _log(scope: "Scope", route: str, status: int, seconds: float) -> None:
    """Write one line. It names the route and never the path, in which a client may have put anything."""
    state: dict[str, Any] = scope["state"]
    caller, answers = state.get("caller"), state.get("answers")
    fields = {
        "method": scope["method"],
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1e3, 3),
        "problem": state.get("problem"),
        "key": None if caller is None else caller.who,
        **_forecasts(answers),
    }
    accessed.log(
        logging.ERROR if status >= FIRST_FAULT else logging.INFO,
        "request",
        extra={name: value for name, value in fields.items() if value is not None},
    )


def _forecasts(answers: "Answers | None") -> dict[str, Any]:
    """How many forecasts were answered, and the ids of the first ones."""
    if answers is None:
        return {}
    ids = [entry.row["forecast_id"] for entry in answers.entries[:SHOWN_IDS]]
    return {"forecasts": len(answers.entries), "forecast_ids": ids}
