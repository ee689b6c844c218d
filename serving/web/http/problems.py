"""Maps errors to problem documents (RFC 9457). Never a traceback."""

import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lake.errors import (
    EngineError,
    ExplainerUnavailableError,
    FailedJobError,
    FullWatchListError,
    ImpossibleChangeError,
    LogError,
    ModelError,
    NoAttentionError,
    NoGradientsError,
    NotReadyError,
    OnlineStoreError,
    OverloadedError,
    QuantlakeError,
    RefusedModelError,
    UnknownNameError,
)
from serving.api import Problem
from serving.api import problem_kinds as kinds
from serving.web.http.bodies import example_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI
    from starlette.requests import Request
    from starlette.types import Scope

    from lake.horizons import Horizon
    from serving.api.problem_kinds import Kind

logger = logging.getLogger("quantlake.serving")

MEDIA_TYPE = "application/problem+json"
INSTANCE_LETTERS = 200
RULES: tuple[tuple[type[QuantlakeError], "Kind"], ...] = (
    (RefusedModelError, kinds.MODEL_REFUSED),
    (NoAttentionError, kinds.INVALID),
    (NoGradientsError, kinds.INVALID),
    (EngineError, kinds.ENGINE_REFUSED),
    (ModelError, kinds.NO_MODEL),
    (OnlineStoreError, kinds.NO_ONLINE_STORE),
    (NotReadyError, kinds.NOT_READY),
    (ImpossibleChangeError, kinds.INVALID),
    (FullWatchListError, kinds.INVALID),
    (LogError, kinds.NO_LOG),
    (OverloadedError, kinds.OVERLOADED),
    (ExplainerUnavailableError, kinds.NO_EXPLAINER),
    (FailedJobError, kinds.EXPLANATION_FAILED),
)
"""Which kind of problem an error is; the first that fits counts."""
UNKNOWN = {
    "symbol": kinds.UNKNOWN_SYMBOL,
    "prediction": kinds.UNKNOWN_PREDICTION,
    "recommendation": kinds.UNKNOWN_RECOMMENDATION,
    "model": kinds.UNKNOWN_MODEL,
    "model version": kinds.UNKNOWN_MODEL,
    "source": kinds.UNKNOWN_SOURCE,
    "key": kinds.UNKNOWN_KEY,
    "problem": kinds.UNKNOWN_PROBLEM,
    "horizon": kinds.UNKNOWN_HORIZON,
    "feature": kinds.UNKNOWN_FEATURE,
    "explanation": kinds.UNKNOWN_EXPLANATION,
    "regime": kinds.UNKNOWN_REGIME,
    "portfolio": kinds.UNKNOWN_PORTFOLIO,
}
"""Which kind of problem a name is that does not exist; any other is one of ours, so the fault is too."""
WITH_BODY = {"POST", "PUT"}
"""Methods whose requests carry a body."""


class ProblemResponse(Response):
    """A problem document as an answer."""

    media_type = MEDIA_TYPE


def install(app: "FastAPI") -> None:
    """Register handlers that answer every error with a problem document."""
    app.add_exception_handler(QuantlakeError, respond_to)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(Exception, _unforeseen)


def document(
    kind: "Kind", detail: str, scope: "Mapping[str, Any]", *, hint: str = "", nearest: "Sequence[str]" = ()
) -> Problem:
    """Build a problem document.

    Parameters
    ----------
    scope
        ASGI scope of the request: its path, and the correlation id that `Correlation` left there.
    hint
        What to do, where the occurrence knows better than the kind.
    nearest
        Names close to one that does not exist.
    """
    if "state" in scope:
        scope["state"]["problem"] = kind.slug  # for whoever counts and logs what came of the request
    return Problem(
        type=kind.type,
        title=kind.title,
        status=kind.status,
        detail=detail,
        instance=quote(scope["path"], safe="/:@^=,;+$!*'()")[:INSTANCE_LETTERS],
        hint=hint or kind.hint,
        correlation_id=str(scope.get("state", {}).get("correlation_id", "")),
        nearest=list(nearest),
    )


def respond(
    kind: "Kind",
    detail: str,
    scope: "Scope",
    *,
    hint: str = "",
    nearest: "Sequence[str]" = (),
    headers: "Mapping[str, str] | None" = None,
) -> ProblemResponse:
    """Build the answer that says what went wrong; usable as an ASGI application too. For the parameters see `document`.

    Where asking again makes sense it carries ``Retry-After``, unless `headers` say it better.
    """
    problem = document(kind, detail, scope, hint=hint, nearest=nearest)
    retry = {} if kind.retry_seconds is None else {"retry-after": str(kind.retry_seconds)}
    given = {name.lower(): value for name, value in (headers or {}).items()}
    return ProblemResponse(problem.model_dump_json(), kind.status, headers=retry | given)


def explain(error: QuantlakeError, scope: "Mapping[str, Any]", horizons: "Sequence[Horizon]" = ()) -> Problem:
    """Return the problem document of an error.

    Parameters
    ----------
    horizons
        Those that the models in service forecast, for the hint about one that they do not.
    """
    if isinstance(error, UnknownNameError):
        return _unknown_name(error, scope, horizons)
    for errors, kind in RULES:
        if isinstance(error, errors):
            return document(kind, str(error), scope)
    logger.error("%s: %s", type(error).__name__, error)
    return document(kinds.NOT_AVAILABLE, str(error), scope)


def _unknown_name(error: UnknownNameError, scope: "Mapping[str, Any]", horizons: "Sequence[Horizon]") -> Problem:
    kind = UNKNOWN.get(error.kind)
    if kind is None:
        logger.error("a selected %s is not declared: %s", error.kind, error)
        return document(kinds.NO_SELECTION, str(error), scope)
    detail = f"There is no {error.kind} '{error.name}'." if error.kind == "prediction" else str(error)
    if error.kind == "horizon":
        by_member: dict[str, list[str]] = {}
        for each in horizons:
            by_member.setdefault(each.member, []).append(str(each.n))
        hint = "; ".join(f"{member} is one of {', '.join(ns)}" for member, ns in by_member.items())
        hint = f"{hint}." if hint else ""
        return document(kind, detail, scope, hint=hint)
    return document(kind, detail, scope, nearest=error.nearest)


def respond_to(request: "Request", error: Exception) -> ProblemResponse:
    """Build the answer to a request that met an error of ours."""
    assert isinstance(error, QuantlakeError)
    is_horizon = isinstance(error, UnknownNameError) and error.kind == "horizon"
    horizons: list[Horizon] = []
    if is_horizon:
        predictor = request.app.state.predictor
        market = predictor.market
        horizons = [market.horizon_of(bars) for bars in predictor.champions.current().horizons]
    problem = explain(error, request.scope, horizons)
    seconds = kinds.kind_named(problem.type.removeprefix(f"{kinds.PREFIX}/")).retry_seconds
    headers = None if seconds is None else {"retry-after": str(seconds)}
    return ProblemResponse(problem.model_dump_json(), problem.status, headers=headers)


def _invalid(request: "Request", error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError)
    return invalid(error.errors(), request.scope)


def invalid(errors: "Sequence[Any]", scope: "Scope") -> ProblemResponse:
    """Answer a request that breaks validation rules; 415 for a body that is not announced as JSON."""
    if scope["method"] not in WITH_BODY:
        return respond(kinds.INVALID, rules(errors), scope)
    hint = f"Send e.g. {example_body(scope)} as application/json; see /docs."
    if not is_json(scope):
        return respond(
            kinds.NOT_JSON,
            "The body must be a JSON object, sent with the header 'content-type: application/json'",
            scope,
            hint=hint,
        )
    return respond(kinds.INVALID, rules(errors), scope, hint=hint)


def is_json(scope: "Scope") -> bool:
    """Whether a request announces its body as JSON."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            announced = value.split(b";")[0].strip().lower()
            return bool(announced == b"application/json" or announced.endswith(b"+json"))
    return False


def rules(errors: "Sequence[Any]") -> str:
    """Describe the first five of pydantic's errors: broken rule and place."""
    return "; ".join(_rule(found) for found in errors[:5])


def _rule(found: dict[str, Any]) -> str:
    """The rule that was broken, and where."""
    if found["type"] == "json_invalid":
        at = f" at character {found['loc'][-1]}" if len(found["loc"]) > 1 else ""
        return f"The body is not JSON: {found['ctx']['error']}{at}"
    if found["loc"] == ("body",) and found["type"] != "value_error":
        return "The body must be a JSON object, sent with the header 'content-type: application/json'"
    return f"{_place(found['loc'])}: {found['msg'].removeprefix('Value error, ')}"


def _place(path: tuple[int | str, ...]) -> str:
    """Place in the request, as a client would write it; odd key names are shortened and made printable."""
    named = ".".join(str(part) for part in path if part not in {"body", "query", "path"})
    return named.encode("ascii", "replace").decode()[:80] or "body"


def _plain(request: "Request", error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException)
    kind = kinds.kind_of_status(error.status_code)
    detail = f"There is no route {request.method} {request.url.path[:80]}."
    if kind not in {kinds.UNKNOWN_ROUTE, kinds.WRONG_METHOD}:
        detail = str(error.detail)
    return respond(kind, detail, request.scope, headers=error.headers)


def _unforeseen(request: "Request", error: Exception) -> ProblemResponse:
    logger.error("unforeseen error", exc_info=error)
    return respond(kinds.INTERNAL, "The request could not be answered.", request.scope)
