"""Check that every route has a rule in the access policy: a route without one is an error at start."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from starlette.routing import BaseRoute, Mount

from lake.errors import ConfigError
from serving.access import WEBSOCKET, Policy, Rule

if TYPE_CHECKING:
    from fastapi import FastAPI


class RouteModule(Protocol):
    """A module of routes from outside the package: the routes and the role that each needs."""

    RULES: tuple[Rule, ...]

    def add_routes(self, app: "FastAPI") -> None:
        """Add the routes to an application."""
        ...


def routes_of(app: "FastAPI") -> set[tuple[str, str]]:
    """Method and path of every route; a mounted application is one route of any path below."""
    found: set[tuple[str, str]] = set()
    for route in app.routes:
        if isinstance(route, Mount):
            found.add(("GET", f"{route.path}/{{path:path}}"))
        elif methods := getattr(route, "methods", None):
            found |= {(method, _path(route)) for method in methods if method != "HEAD"}
        else:
            found.add((WEBSOCKET, _path(route)))
    return found


def require_rules(app: "FastAPI", policy: Policy) -> None:
    """Refuse an application with a route that no rule names, or with a rule for a route that there is none of.

    Raises
    ------
    ConfigError
        Naming the routes, and where their rules belong.
    """
    routes, rules = routes_of(app), {(rule.method, rule.path) for rule in policy.rules}
    if missing := routes - rules:
        raise ConfigError(
            f"No rule says who may ask {_listed(missing)}. Add a Rule to RULES in serving/access/policy.py, or to "
            "RULES of the module that adds the route."
        )
    if unused := rules - routes:
        raise ConfigError(f"There is no route for the rule of {_listed(unused)}. Add the route, or delete its Rule.")


def _path(route: BaseRoute) -> str:
    return str(getattr(route, "path", route))


def _listed(routes: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{method} {path}" for method, path in sorted(routes))
