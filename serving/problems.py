"""From an error to what a client is told: a status, what was found, what to do. Never a traceback."""

import logging
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lake.errors import EngineError, ModelError, NotReadyError, OnlineStoreError, QuantlakeError, UnknownNameError
from serving.api import Problem

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

logger = logging.getLogger("quantlake.serving")

RULES: tuple[tuple[type[QuantlakeError], int, str, str], ...] = (
    (
        EngineError,
        503,
        "Engine refused",
        "Nothing was forecast. See /api/v1/public/models/status and the service's log.",
    ),
    (ModelError, 503, "Model not available", "See /api/v1/public/models/status; `make demo` trains and promotes."),
    (OnlineStoreError, 503, "Online store not available", "Start it with `make serve`, or check REDIS_URL."),
    (NotReadyError, 409, "Not ready", "`make demo` or `make advance` brings features and strategies up to date."),
)
EXAMPLE = '{"symbol": "AAPL", "horizon_sessions": 1}'
BATCH_EXAMPLE = '{"symbols": ["AAPL", "IBM"], "horizon_sessions": 1}'
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        404: "There is no such symbol; the nearest names are listed",
        409: "The symbol exists and cannot be forecast yet",
        413: "The body is too large",
        422: "The body breaks a rule, which is named",
        503: "A model or the online store is not available",
    }.items()
}


def install(app: "FastAPI") -> None:
    """Make every error of an application a `Problem`."""
    app.add_exception_handler(UnknownNameError, _unknown_name)
    app.add_exception_handler(QuantlakeError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _unforeseen)


def problem(status: int, error: str, detail: str, hint: str, nearest: list[str] | None = None) -> JSONResponse:
    """Build the answer that says what went wrong."""
    body = Problem(error=error, detail=detail, hint=hint, nearest=nearest or [])
    headers = {"retry-after": "1"} if status == 503 else None  # noqa: PLR2004 - Service Unavailable
    return JSONResponse(body.model_dump(), status_code=status, headers=headers)


def _unknown_name(request: "Request", error: Exception) -> JSONResponse:
    assert isinstance(error, UnknownNameError)
    if error.kind == "horizon":
        horizons = ", ".join(map(str, request.app.state.predictor.champions.current().horizons))
        return problem(422, "Invalid request", str(error), f"horizon_sessions is one of {horizons}.")
    if error.kind in {"symbol", "prediction"}:
        hint = "GET /api/v1/public/symbols lists every symbol." if error.kind == "symbol" else "Ids are in the answers."
        detail = f"There is no {error.kind} '{error.name}'." if error.kind == "prediction" else str(error)
        return problem(404, f"Unknown {error.kind}", detail, hint, error.nearest)
    logger.error("a selected %s is not declared: %s", error.kind, error)
    return problem(503, "Selection not usable", str(error), "Let the selection run again: `make advance`.")


def _ours(_: "Request", error: Exception) -> JSONResponse:
    for kind, status, title, hint in RULES:
        if isinstance(error, kind):
            return problem(status, title, str(error), hint)
    logger.error("%s: %s", type(error).__name__, error)
    return problem(503, "Not available", str(error), "See the service's log.")


def _invalid(request: "Request", error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    example = BATCH_EXAMPLE if request.url.path.endswith("/batch") else EXAMPLE
    said = "; ".join(_rule(found) for found in error.errors()[:5])
    return problem(422, "Invalid request", said, f"Send e.g. {example} as application/json; see /docs.")


def _rule(found: dict[str, Any]) -> str:
    """The rule that was broken, and where."""
    if found["type"] == "json_invalid":
        return f"The body is not JSON: {found['ctx']['error']} at character {found['loc'][-1]}"
    if found["loc"] == ("body",):
        return "The body must be a JSON object, sent with the header 'content-type: application/json'"
    return f"{_place(found['loc'])}: {found['msg'].removeprefix('Value error, ')}"


def _place(path: tuple[int | str, ...]) -> str:
    """Where in the body, as a client would write it; odd key names are kept short and printable."""
    return ".".join(str(part) for part in path if part != "body").encode("ascii", "replace").decode()[:80] or "body"


def _plain(request: "Request", error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = f"There is no route {request.method} {request.url.path[:80]}."
    answer = problem(error.status_code, str(error.detail), detail, "GET /docs lists every route.")
    answer.headers.update(error.headers or {})
    return answer


def _unforeseen(request: "Request", error: Exception) -> JSONResponse:
    logger.error("unforeseen error at %s", request.url.path, exc_info=error)
    return problem(500, "Internal error", "The request could not be answered.", "The service's log says why.")
