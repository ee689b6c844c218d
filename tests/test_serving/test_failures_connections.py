"""Clients that speak no proper HTTP, or too slowly: refused in bounded time, while others are answered as ever."""

import json
import select
import socket
from contextlib import closing, suppress

import httpx
import pytest

from lake.settings import Settings
from serving.api import Problem
from serving.web.app import build_app
from serving.web.http.connections import BoundedProtocol
from serving.web.http.middleware import BODY_BYTES, HEAD_BYTES, LimitBody
from support.clients import headers_of, listening
from support.waiting import until

PREDICT = "/api/v1/public/predict"
PATH = PREDICT.encode()
GOOD = b'{"symbol":"AAPL","horizon_sessions":1}'
PATIENCE_SECONDS, BOUND_SECONDS = 120.0, 0.6


class Hasty(BoundedProtocol):
    """Short of patience, so that a test need not have much."""

    head_seconds = BOUND_SECONDS


class Patient(BoundedProtocol):
    """Waits for longer than any test lasts."""

    head_seconds = PATIENCE_SECONDS


@pytest.fixture(scope="module")
def app(predicting, tmp_path_factory):
    with (
        predicting(Settings(home=tmp_path_factory.mktemp("connections"))) as predictor,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(LimitBody, "seconds", BOUND_SECONDS)
        yield build_app(predictor)


@pytest.fixture(scope="module")
def address(app):
    with listening(app, Hasty) as found:
        yield found


@pytest.fixture(scope="module")
def key(app):
    ((_, text),) = headers_of(app.state.predictor.logged.configured).items()
    return b"authorization: " + text.encode() + b"\r\n"


def head(key, *, method=b"POST", path=PATH, length=None, more=b""):
    announced = b"content-length: %d\r\n" % length if length is not None else b""
    line = method + b" " + path + b" HTTP/1.1\r\nhost: [::1]\r\ncontent-type: application/json\r\n"
    return line + key + announced + more + b"\r\n"


def whole(key, body=GOOD, **given):
    return head(key, length=len(body), **given) + body


def read_all(connection):
    """Everything until the server closes."""
    connection.settimeout(PATIENCE_SECONDS)
    parts = []
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)


def say(address, *parts):
    """Send some bytes, and return everything that came back until the server closed."""
    with closing(socket.create_connection(address, PATIENCE_SECONDS)) as connection:
        for part in parts:
            try:
                connection.sendall(part)
            except (BrokenPipeError, ConnectionResetError):
                break
        return read_all(connection)


def statuses(answer):
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def problem(answer):
    said = Problem.model_validate_json(answer.rpartition(b"\r\n\r\n")[2])
    assert said.detail
    assert said.hint
    return said


def test_the_good_question_is_answered_over_a_plain_socket(address, key):
    assert statuses(say(address, whole(key, more=b"connection: close\r\n"))) == [200]


NO_HTTP = [
    b"\r\n\r\n\r\nx\r\n\r\n", b"hello\r\n\r\n", b"GET\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 400,
    b"GET / HTTP/9.9\r\nhost: [::1]\r\n\r\n", b"GET / HTTP/1.1\r\nhost a\r\n\r\n", b"GET / HTTP/1.1\r\n: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: [::1]\r\n folded: b\r\n\r\n", b"G\0T / HTTP/1.1\r\nhost: [::1]\r\n\r\n", b"\0" * 200,
    b"GET /\xff\xfe HTTP/1.1\r\nhost: [::1]\r\n\r\n", b"GET / HTTP/1.1\r\nhost: [::1]\r\nx: a\0b\r\n\r\n",
    b"*1\r\n$4\r\nPING\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\nhost: [::1]\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nhost: [::1]\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("content", NO_HTTP, ids=range(len(NO_HTTP)))
def test_what_is_no_http_is_refused_with_a_problem_document(address, content):
    answer = say(address, content)
    (status,) = statuses(answer)
    assert 400 <= status < 500
    assert problem(answer).status == status


@pytest.mark.parametrize(
    "lengths",
    [
        b"content-length: -1\r\n", b"content-length: 1e3\r\n", b"content-length: x\r\n", b"content-length: 38, 39\r\n",
        b"content-length: 38\r\ncontent-length: 39\r\n", b"content-length: 99999999999999999999999\r\n",
        b"content-length: 38\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 38\r\n",
        b"transfer-encoding: gzip\r\n", b"transfer-encoding: chunked, identity\r\n", b"content-length: +38\r\n",
    ],
    ids=range(11),
)  # fmt: skip
def test_lengths_that_contradict_themselves_are_refused(address, key, lengths):
    answer = say(address, head(key, more=lengths + b"connection: close\r\n") + GOOD)
    (status,) = statuses(answer)
    assert 400 <= status < 500
    assert problem(answer).status == status


@pytest.mark.parametrize(
    "content", [b"zz\r\n{}\r\n0\r\n\r\n", b"-1\r\n{}\r\n", b"fffffffffffffffff\r\n{}\r\n", b"2\r\n{}xx0\r\n\r\n"]
)
def test_chunks_that_are_none_are_never_answered(address, key, content):
    assert all(
        400 <= status < 500
        for status in statuses(say(address, head(key, more=b"transfer-encoding: chunked\r\n") + content))
    )


def test_a_length_that_is_too_short_cuts_the_question_and_the_rest_is_no_request(address, key):
    assert statuses(say(address, head(key, length=len(GOOD) - 5) + GOOD)) in ([422], [422, 400])


SLOW = {
    "a body that never comes": lambda key: [head(key, length=38)],
    "a length that is too long": lambda key: [head(key, length=60) + GOOD],
    "chunks without end": lambda key: [head(key, more=b"transfer-encoding: chunked\r\n") + b"1\r\n{\r\n"],
    "a head without end": lambda key: [head(key)[:-2]],
    "half a request line": lambda _: [b"POST /api"],
}


@pytest.mark.parametrize("parts", SLOW.values(), ids=SLOW)
def test_what_never_becomes_whole_is_408(address, key, parts):
    answer = say(address, *parts(key))
    assert statuses(answer) == [408]
    assert problem(answer).title == "Request too slow"


@pytest.fixture
def patient(app, monkeypatch):
    """Address of a server whose bounds are far away."""
    monkeypatch.setattr(LimitBody, "seconds", PATIENCE_SECONDS)
    with listening(app, Patient) as found:
        yield found


@pytest.fixture
def dripping():
    """Connect a hundred clients that have sent a part of a question: ``dripping(address, begun)``."""
    opened = []

    def connect(address, begun):
        opened.extend(socket.create_connection(address, PATIENCE_SECONDS) for _ in range(100))
        for connection in opened:
            connection.sendall(begun)
        return opened

    yield connect
    for connection in opened:
        connection.close()


def answered(connections):
    """Which of them have something to read."""
    return select.select(connections, [], [], 0)[0]


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_hundred_clients_that_drip_do_not_keep_others_waiting(patient, key, dripping, part):
    """Others are answered while all of them wait, and each of them is once its question is whole."""
    content = whole(key, more=b"connection: close\r\n")
    begun = len(content) - 20 if part == "body" else 20
    slow = dripping(patient, content[:begun])
    with httpx.Client(base_url=f"http://{patient[0]}:{patient[1]}", timeout=PATIENCE_SECONDS) as client:
        others = {"authorization": key.decode().partition(": ")[2].strip(), "content-type": "application/json"}
        for n in range(begun, begun + 10):
            for connection in slow:
                connection.sendall(content[n : n + 1])
            assert client.post(PREDICT, content=GOOD, headers=others).status_code == 200
    assert answered(slow) == []
    for connection in slow[:10]:
        connection.sendall(content[begun + 10 :])
        assert statuses(read_all(connection)) == [200]


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_hundred_clients_that_drip_are_sent_away(address, key, dripping, part):
    """One byte every now and then, which any bound on the time between two bytes would let go on for ever."""
    slow = dripping(address, head(key, length=9_999) if part == "body" else head(key)[:-2] + b"x: ")

    def drip():
        ended = answered(slow)
        for connection in set(slow) - set(ended):
            with suppress(OSError):
                connection.sendall(b"y")
        return len(ended) == len(slow)

    until(drip)
    assert [statuses(read_all(connection)) for connection in slow] == [[408]] * 100


@pytest.mark.slow
def test_without_the_bounds_a_client_that_drips_stays(app, key):
    """The mutant: uvicorn's own protocol keeps half a head for as long as the client likes."""
    with listening(app, "httptools") as there, closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection:
        connection.sendall(head(key)[:-2])
        connection.settimeout(3 * BOUND_SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.parametrize(
    ("size", "is_chunked"), [(BODY_BYTES + 1, False), (1 << 40, False), (BODY_BYTES + 1, True), (1 << 40, True)]
)
def test_a_body_that_is_too_large_is_413_and_the_client_can_read_it(address, key, size, is_chunked):
    sent = min(size, 16_777_216)
    if is_chunked:
        parts = [
            head(key, more=b"transfer-encoding: chunked\r\n"),
            *[b"10000\r\n" + b" " * 65_536 + b"\r\n"] * (sent // 65_536 + 1),
        ]
        parts.append(b"0\r\n\r\n")
    elif size > sent:
        parts = [head(key, length=size)]
    else:
        parts = [head(key, length=size), b" " * size]
    answer = say(address, *parts)
    assert statuses(answer) == [413] or (is_chunked and size > sent and answer == b"")
    assert answer == b"" or problem(answer).title == "Body too large"


def test_a_client_that_asks_first_whether_it_may_send_too_much_is_told_before_it_does(address, key):
    answer = say(address, head(key, length=BODY_BYTES + 1, more=b"expect: 100-continue\r\n"))
    assert statuses(answer) == [413]


@pytest.mark.parametrize("flood", ["many", "large", "path", "without end"])
def test_headers_without_measure_are_refused(address, key, flood):
    parts = {
        "many": [head(key, length=len(GOOD), more=b"".join(b"x-%d: y\r\n" % n for n in range(5_000))) + GOOD],
        "large": [head(key, length=len(GOOD), more=b"x: " + b"y" * (HEAD_BYTES + 1) + b"\r\n") + GOOD],
        "path": [whole(key, path=b"/" + b"a" * (HEAD_BYTES + 1), more=b"connection: close\r\n")],
        "without end": [head(key)[:-2], *[b"x: " + b"y" * 1_000 + b"\r\n"] * 2_000],
    }[flood]
    answer = say(address, *parts)
    # A server that closes while the client still sends may be cut off from it before its answer is read.
    allowed = {"path": ([404], [431]), "without end": ([431], [])}.get(flood, ([431],))
    assert statuses(answer) in allowed


def test_requests_sent_together_are_answered_in_order(address, key):
    questions = [whole(key, b'{"symbol":"%s","horizon_sessions":1}' % s) for s in (b"AAPL", b"NOPE", b"IBM", b"KO")]
    content = b"".join(questions) + whole(key, b"{", more=b"connection: close\r\n")
    answer = say(address, content)
    assert statuses(answer) == [200, 404, 200, 200, 422]
    bodies = [json.loads(part.split(b"\r\n\r\n", 1)[1]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    assert [body.get("symbol") for body in bodies] == ["AAPL", None, "IBM", "KO", None]


def test_a_question_before_a_broken_one_is_still_answered(address, key):
    answer = say(address, whole(key) + b"\0\0\0\r\n\r\n")
    assert statuses(answer)[0] == 200
    assert all(400 <= status < 500 for status in statuses(answer)[1:])


IDLE_SECONDS = 0.3
CHUNKED = b"POST / HTTP/1.1\r\nhost: [::1]\r\ntransfer-encoding: chunked\r\n\r\n"


async def reading(scope, receive, send):
    """Take the whole question, and say how many headers it has by then."""
    while (await receive()).get("more_body"):
        pass
    await reply(send, 200, b"%d" % len(scope["headers"]))


async def refusing(scope, receive, send):
    """Answer without reading the question."""
    await reply(send, 401, b"no")


async def reply(send, status, body):
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_closed(connection, drip):
    """Send a little, and see whether the server has closed."""
    connection.settimeout(0.1)
    try:
        connection.sendall(drip)
        return connection.recv(1_000) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize(("protocol", "headers"), [(Hasty, b"2"), ("httptools", b"502")])
def test_what_follows_a_body_is_not_kept(protocol, headers):
    """uvicorn's own protocol, the mutant, keeps all of it."""
    with (
        listening(reading, protocol) as there,
        closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection,
    ):
        connection.sendall(CHUNKED + b"1\r\nx\r\n0\r\n" + b"x: y\r\n" * 500 + b"\r\n")
        assert connection.recv(1_000).rpartition(b"\r\n")[2] == headers


@pytest.mark.parametrize("answered", [reading, refusing])
@pytest.mark.parametrize("endless", [b"x: " + b"y" * 1_000 + b"\r\n", b"y" * 1_000], ids=["many", "one"])
def test_what_follows_a_body_without_end_ends_the_connection(answered, endless):
    with listening(answered, Hasty) as there, closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection:
        connection.sendall(CHUNKED + b"0\r\nx: ")
        until(lambda: is_closed(connection, endless * 40))


@pytest.mark.parametrize(
    ("begun", "drip"),
    [
        (b"", b"\r\n"),
        (b"POST / HTTP/1.1\r\nhost: [::1]\r\ncontent-length: 9999\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
    ],
    ids=["no request", "a body that is not wanted", "chunks that are not wanted"],
)
def test_dripping_does_not_prolong_a_connection(begun, drip):
    with (
        listening(refusing, Hasty, timeout_keep_alive=IDLE_SECONDS) as there,
        closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection,
    ):
        connection.sendall(begun)
        until(lambda: is_closed(connection, drip))


@pytest.mark.slow
def test_without_the_bounds_dripping_prolongs_a_connection():
    with (
        listening(refusing, "httptools", timeout_keep_alive=IDLE_SECONDS) as there,
        closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection,
    ):
        assert not any(is_closed(connection, b"\r\n") for _ in range(10))  # a second, three times what is allowed


def test_what_is_left_of_a_refused_question_may_not_take_as_long_as_the_next_one():
    """An idle connection is kept for longer than this test waits."""
    with (
        listening(refusing, Hasty, timeout_keep_alive=10 * PATIENCE_SECONDS) as there,
        closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection,
    ):
        connection.sendall(CHUNKED)
        until(lambda: is_closed(connection, b"1\r\nx\r\n"))


def test_a_refused_question_may_be_finished_and_another_one_asked():
    with listening(refusing, Hasty) as there, closing(socket.create_connection(there, PATIENCE_SECONDS)) as connection:
        for _ in range(3):
            connection.sendall(b"\r\nPOST / HTTP/1.1\r\nhost: [::1]\r\ncontent-length: 3\r\n\r\n")
            assert statuses(connection.recv(1_000)) == [401]
            connection.sendall(b"abc")
