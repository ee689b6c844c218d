"""What a client is told about a body that breaks a rule."""

import re

import pytest

from lake.settings import Settings
from serving.web.app import build_app
from serving.web.routes.forecasts import PREFIX
from support.clients import client_of

PREDICT, BATCH = f"{PREFIX}/predict", f"{PREFIX}/predict/batch"


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The routes without a predictor: a body that breaks a rule never reaches one."""
    return client_of(build_app(), Settings(home=tmp_path_factory.mktemp("problems")))


@pytest.mark.parametrize(
    ("content_type", "body", "status", "detail"),
    [
        (None, b'{"symbol":"AAPL","horizon_sessions":1}', 415, "sent with the header 'content-type: application/json'"),
        (
            "text/plain",
            b'{"symbol":"AAPL","horizon_sessions":1}',
            415,
            "sent with the header 'content-type: application/json'",
        ),
        ("application/json", b"[]", 422, "The body must be a JSON object"),
        ("application/json", b"", 422, "The body must be a JSON object"),
        ("application/json", b"{bad", 422, "The body is not JSON: .* at character 1"),
    ],
)
def test_a_body_that_is_no_json_object_is_told_what_one_is(client, content_type, body, status, detail):
    answer = client.post(PREDICT, content=body, headers={"content-type": content_type} if content_type else {})
    assert answer.status_code == status
    assert re.search(detail, answer.json()["detail"])
    assert '"symbol": "AAPL"' in answer.json()["hint"]


def test_an_odd_batch_is_shown_a_good_one(client):
    said = client.post(BATCH, json={"symbols": ["KO", "KO"], "horizon_sessions": 1}).json()
    assert said["detail"] == "symbols: name each symbol once; found twice: KO"
    assert '"symbols": [' in said["hint"]


BODIED = [
    (method, route) for route in build_app().routes if getattr(route, "body_field", None) for method in route.methods
]


@pytest.mark.parametrize(("method", "route"), BODIED, ids=lambda each: getattr(each, "path", each))
def test_every_route_that_takes_a_body_shows_one_that_it_can_read(client, method, route):
    path = route.path.replace("{symbol}", "AAPL")
    for sent in ({"content": b"[]", "headers": {"content-type": "application/json"}}, {"content": b"symbol=AAPL"}):
        answer = client.request(method, path, **sent)
        assert answer.status_code in {415, 422}, answer.text
        shown = re.search(r"Send e\.g\. (\{.*\}) as application/json", answer.json()["hint"])
        assert shown is not None
        route.body_field.field_info.annotation.model_validate_json(shown[1])
