"""Every route of the application is declared, and the policy finds what the router finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Mount

from lake.errors import ConfigError
from serving.access import Policy, Rule
from serving.access.policy import RULES
from serving.web.app import build_app
from serving.web.declared import require_rules, routes_of

POLICY = Policy()


@pytest.fixture(scope="module")
def app():
    return build_app()


def test_every_route_of_the_application_is_declared_and_nothing_else(app):
    assert routes_of(app) == {(rule.method, rule.path) for rule in RULES}


def test_a_route_that_is_not_declared_would_be_noticed(app):
    mutant = build_app()
    mutant.add_api_route("/api/v1/internal/forgotten", forgotten, methods=["POST"])
    with pytest.raises(ConfigError, match="No rule says who may ask POST /api/v1/internal/forgotten"):
        require_rules(mutant, POLICY)


def test_a_rule_without_a_route_would_be_noticed(app):
    with pytest.raises(ConfigError, match="no route for the rule of GET /nowhere"):
        require_rules(app, Policy((*RULES, Rule("GET", "/nowhere", "read"))))


def forgotten() -> str:
    return "nobody thought of me"


def test_nothing_internal_is_for_less_than_operators():
    internal = [rule for rule in RULES if rule.path.startswith("/api/v1/internal")]
    assert len(internal) >= 5
    assert {rule.needs for rule in internal} == {"operator"}


def test_what_computes_or_changes_something_is_never_open():
    assert {rule.needs for rule in RULES if rule.method == "POST"} <= {"read", "predict", "operator"}
    assert {rule.path for rule in RULES if rule.needs in {"open", "local"}} == {
        "/", "/healthz", "/readyz", "/metrics", "/.well-known/jwks.json", "/docs", "/docs/oauth2-redirect", "/redoc",
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
