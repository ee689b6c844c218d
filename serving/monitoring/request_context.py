"""Context of the current request: correlation id, route, and the status from which on it counts as failed.

Set by the middleware, read by the JSON log and by the spans, which know nothing else of HTTP.
"""

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

FIRST_ERROR, FIRST_FAULT = 400, 500
"""Lowest status of a refused request, and of one that the service failed."""

current_correlation_id: ContextVar[str] = ContextVar("correlation_id", default="")
"""Id of the request that this task or thread works for; empty where it works for many or none."""


def route_of(scope: "Scope") -> str:
    """Route template of a request, ``other`` where there is none."""
    return str(getattr(scope.get("route"), "path", "other"))
