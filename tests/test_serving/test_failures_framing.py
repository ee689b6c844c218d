"""Bodies that are not framed or sent as the service reads them, HEAD, and who is believed to ask."""

import gzip
import socket
from contextlib import closing

import pytest

from lake.settings import Settings
from serving.api import Problem
from serving.web.app import build_app
from serving.web.http import connections
from serving.web.http.connections import BoundedProtocol
from serving.web.http.middleware import LimitBody
from support.clients import headers_of, listening

PATH = b"/api/v1/public/predict"
GOOD = b'{"symbol":"AAPL","horizon_sessions":1}'
PATIENCE_SECONDS = 120.0


def head(key, *, method=b"POST", path=PATH, more=b""):
    line = method + b" " + path + b" HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return line + key + more + b"\r\n"


def whole(key, body=GOOD, *, more=b""):
    return head(key, more=b"content-length: %d\r\n" % len(body) + more) + body


def say(address, content):
    """Send some bytes, and return everything that came back until the server closed."""
    with closing(socket.create_connection(address, PATIENCE_SECONDS)) as connection:
        connection.sendall(content)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def statuses(answer):
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def problem(answer):
    return Problem.model_validate_json(answer.rpartition(b"\r\n\r\n")[2])


@pytest.fixture(scope="module")
def app(predicting, tmp_path_factory):
    with predicting(Settings(home=tmp_path_factory.mktemp("framing"))) as predictor:
        yield build_app(predictor)


@pytest.fixture(scope="module")
def address(app):
    with listening(app, BoundedProtocol) as found:
        yield found


@pytest.fixture(scope="module")
def key(app):
    ((_, text),) = headers_of(app.state.predictor.logged.configured).items()
    return b"authorization: " + text.encode() + b"\r\n"


CHUNKS = b"transfer-encoding: chunked\r\n"


@pytest.mark.parametrize(
    "sent", [b"zz\r\n", b"-5\r\n", b"0x5\r\nhello\r\n", b"5\r\nmore than five", b"5 \r\n\r\n\r\n", b"f" * 20 + b"\r\n"]
)
def test_a_malformed_chunk_is_400_at_once_and_not_408(app, key, sent):
    """The bound on bodies is far away here, so only a refusal at once comes in time."""
    with pytest.MonkeyPatch.context() as patch, listening(app, BoundedProtocol) as there:
        patch.setattr(LimitBody, "seconds", 10 * PATIENCE_SECONDS)
        answer = say(there, head(key, more=CHUNKS) + sent)
    assert statuses(answer) == [400]
    assert problem(answer).type == "/problems/bad-request"
    assert b"x-correlation-id: " in answer
    assert b"connection: close" in answer


def test_a_malformed_chunk_behind_a_good_question_is_400_too(address, key):
    answer = say(address, whole(key) + head(key, more=CHUNKS) + b"zz\r\n")
    assert statuses(answer) == [200, 400]


@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"identity, gzip", b"GZIP"])
def test_an_encoded_body_is_415_and_says_what_is_read(address, key, encoding):
    more = b"content-encoding: " + encoding + b"\r\nconnection: close\r\n"
    answer = say(address, whole(key, gzip.compress(GOOD), more=more))
    assert statuses(answer) == [415]
    assert b"accept-encoding: identity\r\n" in answer
    assert problem(answer).type == "/problems/encoded-body"
    assert encoding.rpartition(b" ")[2].decode().lower() in problem(answer).detail


def test_a_plain_body_may_say_that_it_is_plain(address, key):
    more = b"content-encoding: identity\r\nconnection: close\r\n"
    assert statuses(say(address, whole(key, more=more))) == [200]


@pytest.mark.parametrize(
    "path", [b"/healthz", b"/readyz", b"/openapi.json", b"/problems", b"/docs", b"/api/v1/public/symbols"]
)
def test_head_is_get_without_the_body(address, key, path):
    more = b"connection: close\r\n"
    looked, read = (say(address, head(key, method=method, path=path, more=more)) for method in (b"HEAD", b"GET"))
    assert statuses(looked) == statuses(read) == [200]
    assert looked.partition(b"\r\n\r\n")[2] == b""
    assert length_of(looked) == length_of(read) == len(read.partition(b"\r\n\r\n")[2])


def length_of(answer):
    return int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])


@pytest.mark.parametrize(("path", "status"), [(b"/nothing", 404), (PATH, 405)])
def test_head_of_what_is_not_read_is_refused_without_a_body(address, key, path, status):
    answer = say(address, head(key, method=b"HEAD", path=path, more=b"connection: close\r\n"))
    assert statuses(answer) == [status]
    assert answer.partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize("trusted", ["", "127.0.0.1"])
def test_who_asks_is_believed_of_trusted_proxies_alone(app, key, monkeypatch, trusted):
    """`/metrics` is open on this machine: a proxy that says the client is elsewhere must be trusted to be heard."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    connections.use(trusted)
    with listening(app, BoundedProtocol) as there:
        more = b"x-forwarded-for: 192.0.2.7\r\nconnection: close\r\n"
        answer = say(there, head(b"", method=b"GET", path=b"/metrics", more=more))
    assert statuses(answer) == [401 if trusted else 200]
