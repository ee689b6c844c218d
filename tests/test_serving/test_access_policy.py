"""Every route of the application is declared, and the policy finds what the router finds."""

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Mount, Route, WebSocketRoute

from serving.access.policy import RULES, WEBSOCKET, Policy, Rule
from serving.web.app import build_app

POLICY = Policy()


def declared_by(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of every route; what is mounted is one route of any path below."""
    found = set()
    for route in app.routes:
        if isinstance(route, Mount):
            found.add(("GET", f"{route.path}/{{path:path}}"))
        elif isinstance(route, WebSocketRoute):
            found.add((WEBSOCKET, route.path))
        elif isinstance(route, Route) or hasattr(route, "methods"):
            found |= {(method, route.path) for method in route.methods or {"GET"} if method != "HEAD"}
        else:
            found.add((WEBSOCKET, route.path))
    return found


@pytest.fixture(scope="module")
def app():
    return build_app()


def test_every_route_of_the_application_is_declared_and_nothing_else(app):
    assert declared_by(app) == {(rule.method, rule.path) for rule in RULES}


def test_a_route_that_is_not_declared_would_be_noticed(app):
    mutant = build_app()
    mutant.add_api_route("/api/v1/internal/forgotten", forgotten, methods=["POST"])
    assert declared_by(mutant) != {(rule.method, rule.path) for rule in RULES}


def forgotten() -> str:
    return "nobody thought of me"


def test_nothing_internal_is_for_less_than_operators():
    internal = [rule for rule in RULES if rule.path.startswith("/api/v1/internal")]
    assert len(internal) >= 5
    assert {rule.needs for rule in internal} == {"operator"}


def test_what_computes_or_changes_something_is_never_open():
    assert {rule.needs for rule in RULES if rule.method == "POST"} <= {"read", "predict", "operator"}
    assert {rule.path for rule in RULES if rule.needs in {"open", "local"}} == {
        "/healthz", "/readyz", "/metrics", "/.well-known/jwks.json", "/docs", "/docs/oauth2-redirect", "/redoc",
        "/openapi.json", "/static-offline-docs/{path:path}", "/problems", "/problems/{slug}",
    }  # fmt: skip


ODD = st.text(st.sampled_from("/abc.%?#{}\\ \x00é"), max_size=12)
PARTS = st.sampled_from([part for rule in RULES for part in rule.path.split("/") if part]) | ODD


@given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]), parts=st.lists(PARTS, max_size=6))
def test_the_policy_declares_whatever_the_router_would_serve(app, method, parts):
    path = f"/{'/'.join(parts)}"
    scope = {"type": "http", "method": method, "path": path, "headers": [], "root_path": ""}
    served = any(
        route.matches(dict(scope))[0] is Match.FULL
        for route in app.routes
        if method in {"GET", "HEAD"} or not isinstance(route, Mount)  # files are read and nothing else
    )
    if served:
        rule = POLICY.rule(method, path)
        assert rule is not None, f"{method} {path!r} is served and not declared"


@given(path=st.sampled_from([rule.path for rule in RULES]), odd=ODD)
def test_a_path_that_is_a_little_off_is_never_more_open(path, odd):
    strict = Policy([Rule("GET", "/read", "read"), Rule("GET", "/read/{name}", "operator")])
    found = strict.rule("GET", path + odd)
    assert found is None or found.needs in {"read", "operator"}


def test_methods_of_a_path_are_listed():
    assert POLICY.methods("/api/v1/public/predict") == ["POST"]
    assert POLICY.methods("/ws/v1/predictions") == []
    assert POLICY.methods("/nowhere") == []
