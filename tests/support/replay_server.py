"""A server of loopback that answers as a vendor does, and fails in the ways that networks and vendors do.

It is built on the standard library because a better server corrects what must be wrong here: a cut body, a false
length, a reset. Client and server share one virtual clock, so that no test sleeps; the log says what was asked when.
"""

import gzip
import json
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

HOST = "127.0.0.1"
OK = 200


class VirtualTime:
    """A clock that moves when somebody sleeps, and keeps how long each sleep was."""

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the present instant."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        with self._lock:
            self.slept.append(seconds)
            self.at += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Reply:
    """What goes over the wire: `body` may be less than `length` says, and `is_reset` breaks the connection."""

    body: bytes = b""
    status: int = OK
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None
    is_reset: bool = False
    is_silent: bool = False


Fault = Callable[[Reply, "ReplayServer"], Reply]
"""What becomes of the answer that was due."""


def reply(content: object, status: int = OK) -> Reply:
    """Return JSON; numbers given as text that looks like one stay text."""
    return Reply(json.dumps(content).encode(), status, {"content-type": "application/json"})


def ok() -> Fault:
    """Let the answer through, between two faults."""
    return lambda due, _: due


def status(code: int, body: str = "", *, retry_after: float | None = None, as_date: bool = False) -> Fault:
    """Answer with another status, with the seconds or the date to come back at if wanted."""

    def fail(_: Reply, server: "ReplayServer") -> Reply:
        headers = {}
        if retry_after is not None:
            at = server.time.now() + timedelta(seconds=retry_after)
            headers["retry-after"] = format_datetime(at, usegmt=True) if as_date else f"{retry_after:.0f}"
        return Reply(body.encode(), code, headers)

    return fail


def note(content: object) -> Fault:
    """Answer with status 200 and something else than was asked for."""
    return lambda _, __: reply(content)


def cut(share: float) -> Fault:
    """Send a part of the body, and close the connection."""
    return lambda due, _: Reply(due.body[: int(len(due.body) * share)], due.status, due.headers, len(due.body))


def length(more: int) -> Fault:
    """Say a wrong length: with a positive one the body ends too early, with a negative one it goes on too long."""
    return lambda due, _: Reply(due.body, due.status, due.headers, len(due.body) + more)


def reset() -> Fault:
    """Break the connection before the answer."""
    return lambda _, __: Reply(is_reset=True)


def silent() -> Fault:
    """Never answer."""
    return lambda _, __: Reply(is_silent=True)


def html() -> Fault:
    """Answer with the page of a proxy, with status 200."""
    return lambda _, __: Reply(b"<!doctype html><title>Sign in</title>", OK, {"content-type": "text/html"})


def gzip_cut() -> Fault:
    """Send a packed body that ends in the middle, with a length that fits."""

    def fail(due: Reply, _: "ReplayServer") -> Reply:
        packed = gzip.compress(due.body)
        return Reply(packed[: len(packed) // 2] + b"\x00\xff", due.status, {"content-encoding": "gzip"})

    return fail


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    at: datetime
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class ReplayServer:
    """Answers with what `answer` makes of a path and a query, unless a fault is scripted for the path.

    Parameters
    ----------
    time
        Clock shared with the client.
    answer
        The vendor: path, query and headers to a reply.
    """

    def __init__(self, time: VirtualTime, answer: Callable[["Asked"], Reply]) -> None:
        self.time, self.answer = time, answer
        self.log: list[Asked] = []
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)
        self._is_closing = threading.Event()
        self._server = ThreadingHTTPServer((HOST, 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def script(self, path: str, *faults: Fault) -> None:
        """Let the next requests whose path begins so fail, one after the other."""
        self._faults[path].extend(faults)

    def heal(self) -> None:
        """Forget the faults that have not come yet."""
        self._faults.clear()

    def reply_to(self, asked: Asked) -> Reply:
        """Return the scripted or the ordinary answer."""
        self.log.append(asked)
        due = self.answer(asked)
        for path, faults in self._faults.items():
            if asked.path.startswith(path) and faults:
                return faults.popleft()(due, self)
        return due

    def wait_for_the_end(self) -> None:
        """Hold a connection that is never answered until the server goes."""
        self._is_closing.wait()


def _handler_of(replay: ReplayServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(replay.time.now(), unquote(parts.path), dict(parse_qsl(parts.query)), headers)
            answer = replay.reply_to(asked)
            self.close_connection = True
            if answer.is_silent:
                replay.wait_for_the_end()
            elif answer.is_reset:
                self._reset()
            else:
                self._send(answer)

        def _send(self, answer: Reply) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(answer.body) if answer.length is None else answer.length))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        def _reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def log_message(self, *_: Any) -> None:
            """Nothing goes to the terminal; the server's own log has it all."""

    return Handler
