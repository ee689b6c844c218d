"""Additions to the OpenAPI description: statuses, roles, recorded examples."""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from serving.access import Policy, Rule
from serving.api import Problem
from serving.api.problem_kinds import KINDS, Kind
from serving.web.http.examples import Example, examples
from serving.web.http.problems import MEDIA_TYPE, document

if TYPE_CHECKING:
    from fastapi import FastAPI

Schema = dict[str, Any]

SECURITY: Schema = {
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "`quantlake keys create` makes one."},
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An API key, or a token that POST /api/v1/public/token gives for one: RS256, for an hour.",
    },
}
FIRST_ERROR = 400
ALWAYS = (431, 500)
WITH_KEY = (401, 403, 429, 503)
"""Statuses of routes that need a key: unknown, forbidden, too many requests, limiter unavailable."""
WITH_BODY = (408, 413, 415, 422)
WITH_NAME = (404, 422)
FURTHER: dict[str, tuple[int, ...]] = {
    "/readyz": (409, 503),
    "/problems/{slug}": (404,),
    "/api/v1/internal/admin/keys/revoke": (404,),
    "/api/v1/internal/models/canary": (404, 409),
    "/api/v1/internal/models/rollback": (404, 409),
    "/api/v1/internal/models/shadow": (404, 409),
    "/api/v1/public/predict": (404, 409),
    "/api/v1/public/predict/batch": (404, 409),
    "/api/v1/public/recommend": (404, 409),
    "/api/v1/public/recommendations": (404, 422),
    "/api/v1/public/watchlist": (404,),
    "/api/v1/public/watchlist/changes": (404,),
    "/api/v1/public/explain/features": (404, 409, 422),
    "/api/v1/public/explain/recommendation": (404,),
    "/api/v1/public/predictions/latest/{symbol}": (409,),
    "/api/v1/public/features/latest/{symbol}": (409,),
    "/api/v1/public/regime/{symbol}": (409,),
    "/api/v1/public/strategy/{symbol}": (409,),
    "/api/v1/public/portfolio/{name}": (409,),
    "/api/v1/internal/models/benchmark": (409,),
    "/api/v1/public/explanations/{symbol}": (409, 410),
    "/api/v1/public/explanations/jobs/{job_id}": (410,),
}
"""Statuses that follow neither from a key, nor from a body, nor from a name in the path."""

RETRY: Schema = {
    "Retry-After": {
        "description": "seconds after which asking again makes sense; a 503 that would last has none",
        "schema": {"type": "integer", "minimum": 0},
    }
}
NAMES = defaultdict(lambda: "x", symbol="AAPL", slug="unknown-symbol", source="packaged", prediction_id="0" * 32)
"""What stands for the names in paths, where an occurrence of a problem is made up to show what one looks like."""


def install(app: "FastAPI", policy: Policy) -> None:
    """Install the extended OpenAPI description; it is built once, at the first request for it."""
    describe = app.openapi
    made: list[Schema] = []

    def described() -> Schema:
        if not made:
            made.append(completed(describe(), policy))
        return made[0]

    app.openapi = described  # type: ignore[method-assign]  # the documented way to change the description


def completed(schema: Schema, policy: Policy) -> Schema:
    """Add every status, the security schemes and the examples to a description, in place."""
    components = schema.setdefault("components", {})
    components["securitySchemes"] = SECURITY
    models = components.setdefault("schemas", {})
    models["Problem"] = Problem.model_json_schema(mode="serialization")
    for unused in ("HTTPValidationError", "ValidationError"):
        models.pop(unused, None)
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _complete(operation, path, policy.rule(method.upper(), path))
    for example in examples():
        _show(schema["paths"][example.route][example.method.lower()], example)
    return schema


def statuses(operation: Schema, path: str, *, needs_key: bool) -> set[int]:
    """Every status of an operation from 400 on."""
    found = {int(status) for status in operation["responses"] if int(status) >= FIRST_ERROR}
    has_name = any(parameter["in"] == "path" for parameter in operation.get("parameters", ()))
    found |= {*ALWAYS, *FURTHER.get(path, ())}
    found |= set(WITH_KEY) if needs_key else set()
    found |= set(WITH_BODY) if "requestBody" in operation else set()
    found |= set(WITH_NAME) if has_name else set()
    return found


def summary_of(description: str) -> str:
    """Return what a list of routes says of one: its description up to the first full stop, semicolon or colon.

    Examples
    --------
    >>> summary_of("Return an earlier answer, byte for byte; or what the table holds of it.")
    'Return an earlier answer, byte for byte'
    """
    return re.split(r"[.;:](?:\s|$)", description, maxsplit=1)[0]


def _complete(operation: Schema, path: str, rule: Rule | None) -> None:
    operation["summary"] = summary_of(operation.get("description") or operation["summary"])
    needs = rule.needs if rule else "open"
    needs_key = needs not in {"open", "local"}
    if needs_key:
        operation["security"] = [{name: []} for name in SECURITY]
        description = operation.get("description", operation.get("summary", ""))
        operation["description"] = f"{description}\n\nNeeds a key with the role `{needs}`."
    for status in sorted(statuses(operation, path, needs_key=needs_key)):
        operation["responses"][str(status)] = _problem(status, path)
    operation["responses"] = dict(sorted(operation["responses"].items()))


@cache
def _problem(status: int, path: str) -> Schema:
    kinds = _kinds()[status]
    shown = {
        kind.slug: {
            "summary": kind.title,
            "value": document(kind, kind.meaning, {"path": path.format_map(NAMES)}).model_dump(mode="json"),
        }
        for kind in kinds
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": shown}
    described: Schema = {"description": "; ".join(kind.title for kind in kinds), "content": {MEDIA_TYPE: content}}
    return described | ({"headers": RETRY} if any(kind.retry_seconds for kind in kinds) else {})


@cache
def _kinds() -> dict[int, list[Kind]]:
    found = defaultdict(list)
    for kind in KINDS:
        found[kind.status].append(kind)
    return dict(found)


def _show(operation: Schema, example: Example) -> None:
    """Put a real question and its real answer into an operation."""
    for content in _contents(operation, str(example.status)):
        if "examples" in content:
            slug = example.answer["type"].rpartition("/")[2]
            content["examples"][slug] = {"summary": example.answer["title"], "value": example.answer}
        else:
            content["example"] = example.answer
    if example.status >= FIRST_ERROR:
        return
    if example.body is not None:
        operation["requestBody"]["content"]["application/json"]["example"] = example.body
    values = example.parameters
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in values:
            parameter["example"] = values[parameter["name"]]


def _contents(operation: Schema, status: str) -> Iterator[Schema]:
    yield from operation["responses"].get(status, {}).get("content", {}).values()
