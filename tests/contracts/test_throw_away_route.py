"""A route from outside: a module with its types, its routes and its rules, and no edit of the package."""

from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.testclient import TestClient

from lake.errors import ConfigError
from lake.settings import Settings
from serving.access import Rule
from serving.access.policy import PUBLIC
from serving.web.app import build_app
from support.clients import LOCAL, client_of

PATH = f"{PUBLIC}/weather/{{place}}"


class Weather(BaseModel):
    """What the throw-away route answers."""

    place: str
    is_sunny: bool


def add_routes(app: FastAPI) -> None:
    @app.get(PATH, tags=["weather"])
    def weather(place: str) -> Weather:
        """Say what the weather is like."""
        return Weather(place=place, is_sunny=True)


MODULE = SimpleNamespace(RULES=(Rule("GET", PATH, "read"),), add_routes=add_routes)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return build_app(added=[MODULE])


def test_the_route_answers_whoever_has_a_key(app: FastAPI, settings: Settings) -> None:
    answer = client_of(app, settings).get(f"{PUBLIC}/weather/Oslo")
    assert (answer.status_code, answer.json()) == (200, {"place": "Oslo", "is_sunny": True})


def test_the_route_is_refused_without_a_key(app: FastAPI, settings: Settings) -> None:
    assert client_of(app, settings).get("/healthz").status_code == 200
    answer = TestClient(app, LOCAL, raise_server_exceptions=False).get(f"{PUBLIC}/weather/Oslo")
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthenticated")


def test_the_route_is_described_with_who_may_ask_and_what_may_come(app: FastAPI) -> None:
    operation = app.openapi()["paths"][PATH]["get"]
    assert operation["description"].endswith("Needs a key with the role `read`.")
    assert {"200", "401", "403", "404", "422", "429", "500"} <= set(operation["responses"])


def test_a_route_without_a_rule_is_an_error_that_says_what_is_missing() -> None:
    forgotten = SimpleNamespace(RULES=(), add_routes=add_routes)
    with pytest.raises(ConfigError, match=r"No rule says who may ask GET /api/v1/public/weather/\{place\}. Add a Rule"):
        build_app(added=[forgotten])


def test_the_packaged_application_knows_nothing_of_it() -> None:
    assert PATH not in build_app().openapi()["paths"]
