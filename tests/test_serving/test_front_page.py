"""The front page says what is here, of which market and when, and how to ask, and holds no key and nothing foreign."""

import base64
import hashlib
import json
import re
import shlex
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

from lake.market import PACKAGED, Market
from lake.settings import Settings
from serving.access import local_key
from serving.api import DISCLAIMER
from serving.web.app import build_app
from serving.web.routes.front_page import page, question
from support.clients import LOCAL, client_of

AT = datetime(2012, 12, 31, 21, tzinfo=UTC)


@pytest.fixture
def client(tmp_path):
    """A client without a key, of a service that has neither models nor an online store: the page asks neither."""
    app = build_app()
    app.state.predictor = SimpleNamespace(market=PACKAGED["demo"], clock=SimpleNamespace(now=lambda: AT))
    return TestClient(app, LOCAL)


def test_it_says_what_is_here_of_which_market_and_when(client):
    shown = client.get("/")
    assert (shown.status_code, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for part in (
        "quantlake",
        "<strong>demo</strong>",
        "2012-12-31 21:00 UTC",
        "traded, in USD",
        DISCLAIMER,
        "/metrics",
        "$KEY",
    ):
        assert part in shown.text, part


def test_what_it_links_to_is_there(client):
    links = re.findall(r'href="([^"]+)"', client.get("/").text)
    assert {"/docs", "/openapi.json", "/healthz", "/readyz", "/metrics", "/problems"} <= set(links)
    routes = {getattr(route, "path", "") for route in client.app.routes}
    assert set(links) <= routes
    assert {client.get(link).status_code for link in ("/docs", "/openapi.json", "/healthz", "/problems")} == {200}


def test_it_loads_nothing_and_may_load_nothing_but_its_own_style(client):
    shown = client.get("/")
    assert "<script" not in shown.text
    assert not re.findall(r"""(?:src|href|action)=["']?(?:https?:)?//|url\(|@import""", shown.text)
    allowed = dict(part.strip().split(" ", 1) for part in shown.headers["content-security-policy"].split(";"))
    (style,) = re.findall("<style>(.*?)</style>", shown.text)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert allowed.pop("style-src") == f"'sha256-{digest}'"
    assert allowed.pop("default-src") == "'none'"
    assert set(allowed.values()) == {"'none'"}
    assert shown.headers["x-content-type-options"] == "nosniff"


def test_a_name_is_text_and_never_markup(client):
    shown = page(Market("demo", "packaged", symbols=("<b>&",)), AT, "http://<i>.example")
    assert "a currency that the market does not state" in shown
    assert "<b>" not in shown
    assert "<i>" not in shown
    assert "&lt;i&gt;.example" in shown


def test_no_key_is_in_it(predictor_aside, aside):
    client = client_of(build_app(predictor_aside))
    shown = client.get("/")
    assert shown.status_code == 200
    assert local_key(aside) not in shown.text
    assert "ql_" not in shown.text


@pytest.mark.parametrize("name", sorted(PACKAGED))
def test_the_question_on_it_is_one_that_is_answered(predictor_aside, aside, name):
    words = shlex.split(question(PACKAGED[name], LOCAL).replace("$KEY", local_key(aside)))
    body = json.loads(words[words.index("-d") + 1])
    market = PACKAGED[name]
    assert body["symbol"] in market.symbols or body["symbol"] == "SYMBOL"
    assert market.horizon_of(min(market.horizon_bars)).n in body.values()
    if name != Settings().market:
        return
    client = TestClient(build_app(predictor_aside), LOCAL)
    headers = dict(words[place + 1].split(": ") for place, word in enumerate(words) if word == "-H")
    answer = client.post(words[2].removeprefix(LOCAL), json=body, headers=headers)
    assert answer.status_code == 200, answer.text


def test_head_is_answered_without_the_page(client):
    shown = client.head("/")
    assert (shown.status_code, shown.content) == (200, b"")
