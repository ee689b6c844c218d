"""The door before an application of its own: who gets through, what others are told, when a stream ends."""

import asyncio
import json

import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from lake.settings import Settings
from lake.store import Lake
from lake.tables import AUDIT
from serving.access import KEY_REFRESH_SECONDS, Policy, Rule, keys
from serving.access.checks import Access
from serving.web.http import problems
from serving.web.http.authentication import AccessControl
from serving.web.http.guarded_stream import ENDED
from serving.web.routes import tokens
from support.waiting import VirtualClock

RULES = Policy(
    [
        Rule("GET", "/open", "open"),
        Rule("GET", "/local", "local"),
        Rule("GET", "/read/{name}", "read"),
        Rule("POST", "/predict", "predict"),
        Rule("POST", "/operate", "operator"),
        Rule("POST", "/api/v1/public/token", "read"),
        Rule("WEBSOCKET", "/stream", "read"),
    ]
)
HEADERS = {"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"}


def build(access):
    app = FastAPI()
    app.state.access = access
    app.add_middleware(AccessControl, policy=RULES)
    problems.install(app)
    tokens.add_routes(app)

    for path, method in (("/open", "GET"), ("/local", "GET"), ("/read/{name}", "GET"), ("/predict", "POST")):
        app.add_api_route(path, who, methods=[method])
    app.add_api_route("/operate", who, methods=["POST"])
    app.add_api_route("/forgotten", who, methods=["GET"])
    app.add_api_websocket_route("/stream", echo)
    return app


async def who(request: Request) -> dict:
    caller = request.state.caller
    return {"who": caller and caller.key_id, "query": request.url.query}


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            said = await socket.receive_text()
            await socket.send_text(f"{said} {socket.url.query}")
    except WebSocketDisconnect:
        return


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Settings(home=tmp_path_factory.mktemp("guard") / "home")


@pytest.fixture(scope="module")
def access(home):
    return Access(home)


@pytest.fixture(scope="module")
def client(access):
    return TestClient(build(access), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def texts(home):
    """One unlimited key per role."""
    return {role: keys.create(home, role, role, "unlimited", by="tests") for role in ("read", "predict", "operator")}


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def test_what_is_open_needs_no_key_and_names_no_caller(client, texts):
    assert client.get("/open").json()["who"] is None
    assert client.get("/open", headers=bearer("wrong")).status_code == 200
    assert client.get("/open", headers=bearer(texts["read"][1])).json()["who"] is None


@pytest.mark.parametrize("header", ["authorization", "Authorization", "x-api-key", "X-API-Key"])
def test_a_key_is_taken_from_either_header(client, texts, header):
    key, text = texts["read"]
    shown = text if "key" in header.lower() else f"bearer  {text} "
    assert client.get("/read/a", headers={header: shown}).json()["who"] == key.id


def test_the_same_key_in_both_headers_is_one_key_and_two_keys_are_none(client, texts):
    mine, other = texts["read"][1], texts["predict"][1]
    assert client.get("/read/a", headers=bearer(mine) | {"x-api-key": mine}).status_code == 200
    refused = client.get("/read/a", headers=bearer(mine) | {"x-api-key": other})
    assert (refused.status_code, refused.json()["detail"][:34]) == (401, "The request carries more than one ")


@pytest.mark.parametrize(
    ("path", "method", "least"), [("/read/a", "GET", 0), ("/predict", "POST", 1), ("/operate", "POST", 2)]
)
def test_a_role_reaches_what_it_should(client, texts, path, method, least):
    statuses = [
        client.request(method, path, headers=bearer(texts[role][1])).status_code
        for role in ("read", "predict", "operator")
    ]
    assert statuses == [403] * least + [200] * (3 - least)


def test_a_refusal_says_what_to_do(client, texts):
    missing = client.get("/read/a")
    assert missing.headers["www-authenticate"] == 'Bearer realm="quantlake"'
    assert missing.headers["content-type"] == "application/problem+json"
    assert "quantlake keys create" in missing.json()["hint"]
    wrong = client.get("/read/a", headers=bearer("ql_a_b"))
    assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
    forbidden = client.post("/operate", headers=bearer(texts["read"][1]))
    assert forbidden.json()["detail"] == (
        "This needs a key with the role 'operator', and this one has the role 'read'."
    )


@pytest.mark.parametrize(
    "shown", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "", "bearer\tx", "Bearer null", "Bearer a.b.c", "Bearer é"]
)
def test_odd_credentials_are_refused(client, shown):
    assert client.get("/read/a", headers={"authorization": shown.encode()}).status_code == 401


def test_what_is_not_declared_is_served_to_nobody(client, texts):
    operator = bearer(texts["operator"][1])
    assert client.get("/forgotten", headers=operator).status_code == 404
    assert client.get("/nowhere", headers=operator).status_code == 404
    assert client.get("/read/a/b", headers=operator).status_code == 404
    assert client.get("//open").status_code == 404
    assert client.get("/open/").status_code == 404
    wrong = client.delete("/predict", headers=operator)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


def test_an_application_without_access_lets_nobody_in():
    client = TestClient(build(None))
    assert client.get("/open").status_code == 200
    assert client.get("/read/a", headers=bearer("x")).status_code == 401


def test_every_answer_carries_the_limit(client, texts):
    good = bearer(texts["read"][1])
    answers = [
        client.get("/open"),
        client.get("/read/a", headers=good),
        client.get("/read/a"),
        client.post("/predict", headers=good),
        client.get("/nowhere"),
        client.delete("/predict"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 403, 404, 405]
    assert all(set(answer.headers) >= HEADERS for answer in answers)


def test_a_local_route_is_open_on_this_machine_only(access, texts):
    here = TestClient(build(access), client=("127.0.0.1", 5))
    there = TestClient(build(access), client=("192.0.2.7", 5))
    assert here.get("/local").status_code == 200
    assert there.get("/local").status_code == 401
    assert there.get("/local", headers=bearer(texts["read"][1])).status_code == 200


def test_a_key_is_swapped_for_a_token_and_a_token_is_not(client, texts):
    key, text = texts["predict"]
    answer = client.post("/api/v1/public/token", headers=bearer(text))
    said = answer.json()
    assert (said["token_type"], said["role"], said["tier"]) == ("Bearer", "predict", "unlimited")
    assert 3_590 < said["expires_in"] <= 3_600
    assert answer.headers["cache-control"] == "no-store"
    token = bearer(said["access_token"])
    assert client.post("/predict", headers=token).json()["who"] == key.id
    assert client.post("/operate", headers=token).status_code == 403
    assert client.post("/api/v1/public/token", headers=token).status_code == 403


def test_a_key_in_an_address_is_never_taken(client, texts):
    assert client.get(f"/read/a?token={texts['read'][1]}").status_code == 401
    assert client.get(f"/read/a?api_key={texts['read'][1]}").status_code == 401


def test_what_operators_do_is_in_the_audit_trail(access, home, texts):
    client = TestClient(build(access), raise_server_exceptions=False)
    before = Lake.open(home).version(AUDIT)
    client.post("/operate", headers=bearer(texts["operator"][1]))
    client.post("/operate", headers=bearer(texts["read"][1]))
    client.post("/operate")
    rows = Lake.open(home).read(AUDIT).sort("sequence").to_dicts()[-2:]
    assert Lake.open(home).version(AUDIT) == before + 2, "who is not known has no place in the trail"
    assert [(row["who"], row["what"], row["result"]) for row in rows] == [
        (texts["operator"][0].who, "operator.request", "200"),
        (texts["read"][0].who, "operator.request", "403"),
    ]
    assert json.loads(rows[0]["details"]) == {"method": "POST", "path": "/operate", "role": "operator", "via": "key"}


def test_asking_for_what_one_may_not_does_not_fill_the_trail(home, monkeypatch):
    keyed = {tier: bearer(keys.create(home, tier, "read", tier, by="tests")[1]) for tier in ("unlimited", "free")}
    before = Lake.open(home).version(AUDIT)

    def refusals(tier, times):
        statuses = [client.post("/operate", headers=keyed[tier]).status_code for _ in range(times)]
        return set(statuses), Lake.open(home).version(AUDIT) - before

    with TestClient(build(Access(home)), raise_server_exceptions=False) as client:
        assert refusals("unlimited", 20) == ({403}, 1)
        assert refusals("free", 120) == ({403, 429}, 2)
        monkeypatch.setattr("serving.web.http.authentication.FORBIDDEN_SECONDS", 0.0)
        assert refusals("free", 3) == ({429}, 2)
        assert refusals("unlimited", 1) == ({403}, 3)


def test_nobody_is_told_of_what_the_trail_does_not_know(access, texts, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(access, "record", fail)
    client = TestClient(build(access))  # raises where a second answer follows the first
    answer = client.post("/operate", headers=bearer(texts["operator"][1]))
    assert (answer.status_code, answer.json()["detail"][:33]) == (503, "The audit trail cannot be written")


def stream_of(client, address="/stream", **headers):
    return client.websocket_connect(address, headers=headers)


def token_of(client, text):
    return client.post("/api/v1/public/token", headers=bearer(text)).json()["access_token"]


def test_a_stream_opens_with_a_header_or_a_token_in_its_address(client, texts):
    text = texts["read"][1]
    with stream_of(client, **bearer(text)) as stream:
        stream.send_text("hello")
        assert stream.receive_text() == "hello "
    with stream_of(client, f"/stream?from=1&token={token_of(client, text)}") as stream:
        stream.send_text("hello")
        assert stream.receive_text() == "hello from=1", "what lies behind the door never sees the token"


@pytest.mark.parametrize("address", ["/stream", "/stream?token=", "/stream?token=a.b.c", "/forgotten", "/open"])
def test_a_stream_is_refused_with_an_answer(client, address):
    with pytest.raises(WebSocketDenialResponse) as refused, stream_of(client, address):
        pass
    assert refused.value.status_code == (401 if address.startswith("/stream") else 404)


def test_a_key_in_the_address_of_a_stream_is_refused(client, texts):
    with pytest.raises(WebSocketDenialResponse) as refused, stream_of(client, f"/stream?token={texts['read'][1]}"):
        pass
    assert refused.value.status_code == 401


def test_a_stream_ends_when_its_key_is_revoked(client, home, monkeypatch):
    clock = VirtualClock()
    monkeypatch.setattr("serving.access.watched.time", clock)
    key, text = keys.create(home, "short", "read", "unlimited", by="tests")
    with stream_of(client, **bearer(text)) as stream:
        stream.send_text("one")
        assert stream.receive_text() == "one "
        keys.revoke(home, key.id, by="tests")
        clock.move(KEY_REFRESH_SECONDS)
        stream.send_text("two")
        closing = stream.receive()
    assert (closing["type"], closing["code"]) == ("websocket.close", ENDED)
    assert "has ended" in closing["reason"]


def test_the_door_looks_at_no_file_while_the_clock_stands(access, texts, monkeypatch):
    """How many microseconds it costs is measured by `python -m benchmarks`."""

    async def behind(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    guard, app, answers = AccessControl(behind, RULES), build(access), []
    headers = [(b"host", b"x"), (b"authorization", f"Bearer {texts['predict'][1]}".encode())]

    async def sent(message):
        answers.append(message["status"])

    async def ask():
        for _ in range(100):
            scope = {"type": "http", "method": "POST", "path": "/predict", "headers": headers, "app": app}
            await guard(scope, None, sent)

    monkeypatch.setattr("serving.access.watched.time", VirtualClock())
    asyncio.run(ask())
    monkeypatch.setattr("serving.access.watched.identity_of", None)
    asyncio.run(ask())
    assert answers == [200] * 200
