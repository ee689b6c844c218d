"""The gate in front of the web UIs: who gets in by link, cookie or key, and who does not, however they ask."""

import stat
import sys

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse

from dagster_project.servers.uis import credentials
from dagster_project.servers.uis.gate import Gate
from dagster_project.servers.uis.kernel import write_spec
from lake.errors import ConfigError
from lake.settings import Settings

PORT = 3001
HERE = f"http://127.0.0.1:{PORT}"
OURS = {"host": f"127.0.0.1:{PORT}"}
"""The test client asks for WebSockets under a host of its own."""
LINK, KEY = "l" * 43, "k" * 43
BEARER = {"authorization": f"Bearer {KEY}"}


async def echo(websocket):
    await websocket.accept()
    await websocket.send_text("data")
    await websocket.close()


def served():
    routes = [
        WebSocketRoute("/graphql", echo),
        Route("/{path:path}", lambda _: PlainTextResponse("data"), methods=["GET", "POST", "DELETE"]),
    ]
    return Gate(Starlette(routes=routes), port=PORT, link_token=LINK, api_key=KEY, where="Open the link.")


@pytest.fixture
def stranger():
    """A client that shows nothing."""
    return TestClient(served(), HERE, raise_server_exceptions=False)


@pytest.fixture
def user(stranger):
    """A browser that opened the link."""
    assert stranger.get(f"/?token={LINK}", follow_redirects=False).status_code == 303
    return stranger


def cookie_of(user):
    return {"cookie": "; ".join(f"{name}={value}" for name, value in user.cookies.items())}


@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/static/a.js", "/?token="])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "HEAD"])
def test_nothing_passes_without_a_login(stranger, method, path):
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert "data" not in answer.text


@pytest.mark.parametrize(
    "key", ["", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {LINK}", f"Basic {KEY}", KEY, "Bearer \xe9"]
)
def test_a_wrong_key_does_not_pass(stranger, key):
    assert stranger.get("/", headers={"authorization": key.encode("latin-1")}).status_code == 401


def test_a_program_with_the_key_passes_for_everything(stranger):
    for method in ("GET", "POST", "DELETE"):
        assert stranger.request(method, "/graphql?query=a", headers=BEARER).text == "data"
    with stranger.websocket_connect("/graphql", headers=OURS | BEARER) as websocket:
        assert websocket.receive_text() == "data"


def test_the_link_opens_one_session_and_leaves_no_token_in_the_address(stranger):
    answer = stranger.get(f"/runs?a=b&token={LINK}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/runs?a=b")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert LINK not in cookie
    assert stranger.get("/").text == "data"
    again = TestClient(served(), HERE)
    assert again.get(f"/?token={LINK}x").status_code == 401
    stranger.cookies.clear()
    assert stranger.get(f"/?token={LINK}").status_code == 401


@pytest.mark.parametrize("path", ["//evil.example/a", "/\\evil.example", "/%0d%0aset-cookie:a=b", "/%5cevil.example"])
def test_the_link_leads_nowhere_else(stranger, path):
    raw = path.encode()
    location = stranger.get(f"{HERE}{path}?token={LINK}", follow_redirects=False).headers["location"]
    assert location.startswith("/"), raw
    assert not location.startswith(("//", "/\\"))


@pytest.mark.parametrize("host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:3002", ""])
def test_another_host_is_refused_whoever_asks(user, host):
    for headers in ({"host": host}, {"host": host} | BEARER):
        assert user.get("/", headers=headers).status_code == 421
        assert user.get(f"/?token={LINK}", headers=headers).status_code == 421


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"[::1]:{PORT}", f"LocalHost:{PORT}"])
def test_other_names_of_loopback_pass(stranger, host):
    assert stranger.get("/", headers={"host": host} | BEARER).text == "data"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": f"https://127.0.0.1:{PORT}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},
    ],
    ids=str,
)
def test_a_page_of_somebody_else_cannot_change_anything_with_the_session(user, headers):
    assert user.post("/graphql", headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-site"}, {"sec-fetch-site": "cross-site"}])
def test_a_page_of_somebody_else_cannot_read_with_the_session(user, headers):
    assert user.get("/graphql", headers=headers).status_code == 403


def test_a_query_in_a_link_is_not_run(user):
    assert user.get("/graphql?query=mutation", headers={"sec-fetch-site": "none"}).status_code == 403
    assert user.get("/graphql").text == "data"


def test_the_own_page_may_ask(user):
    assert user.post("/graphql", headers={"origin": HERE, "sec-fetch-site": "same-origin"}).text == "data"
    with user.websocket_connect("/graphql", headers=OURS | cookie_of(user) | {"origin": HERE}) as websocket:
        assert websocket.receive_text() == "data"


@pytest.mark.parametrize("headers", [{}, {"origin": "http://evil.example"}, {"host": "evil.example", "origin": HERE}])
def test_a_websocket_of_another_page_is_refused(user, headers):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        user.websocket_connect("/graphql", headers=OURS | cookie_of(user) | headers),
    ):
        pass
    assert refused.value.status_code in {403, 421}


def test_a_websocket_without_a_login_is_refused(stranger):
    with (
        pytest.raises(WebSocketDenialResponse) as refused,
        stranger.websocket_connect("/graphql", headers=OURS | {"origin": HERE}),
    ):
        pass
    assert refused.value.status_code == 401


@pytest.mark.parametrize("guard", ["_wrong_host", "_unknown", "_foreign_page"])
def test_each_guard_is_needed(user, monkeypatch, guard):
    """The mutants."""
    attack = {
        "_wrong_host": {"host": "evil.example"} | BEARER,
        "_unknown": {"cookie": "none"},
        "_foreign_page": {"sec-fetch-site": "cross-site"},
    }[guard]
    user.cookies = user.cookies if guard == "_foreign_page" else {}
    assert user.get("/", headers=attack).status_code in {401, 403, 421}
    monkeypatch.setattr(Gate, guard, lambda *_: None)
    assert user.get("/", headers=attack).text == "data"


def test_the_key_file_is_made_once_for_its_owner_alone(tmp_path):
    settings = Settings(home=tmp_path)
    key = credentials.api_key(settings)
    path = credentials.key_file(settings)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert credentials.api_key(settings) == key
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"open to others \(mode 644, expected 600\)"):
        credentials.api_key(settings)
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(ConfigError, match="is empty"):
        credentials.api_key(settings)


def test_the_secret_of_the_link_is_not_left_to_children(monkeypatch):
    monkeypatch.setenv(credentials.VARIABLE, LINK)
    assert credentials.take_link_secret() == LINK
    with pytest.raises(ConfigError, match="quantlake ui"):
        credentials.take_link_secret()


def test_kernels_come_without_the_debugger(tmp_path):
    write_spec(tmp_path)
    spec = (tmp_path / "kernels" / "python3" / "kernel.json").read_text()
    assert "dagster_project.servers.uis.kernel" in spec
    assert sys.executable in spec
