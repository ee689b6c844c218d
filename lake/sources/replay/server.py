"""A server of loopback that answers in the place of a vendor, and the clock that it shares with who asks.

Waits that a connector's limits and a vendor's answers ask for are spent on that clock, so that nobody waits for them.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
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
    """What goes over the wire."""

    body: bytes = b""
    status: int = OK
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        """Write it to the connection of a request."""
        self.send_as_long_as(handler, len(self.body))

    def send_as_long_as(self, handler: BaseHTTPRequestHandler, length: int) -> None:
        """Write it with a length that it says of itself."""
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(length))
        handler.send_header("connection", "close")
        handler.end_headers()
        handler.wfile.write(self.body)


def reply(content: object, status: int = OK) -> Reply:
    """Return JSON; numbers given as text that looks like one stay text."""
    return Reply(json.dumps(content).encode(), status, {"content-type": "application/json"})


@dataclass(frozen=True)
class Asked:
    """One request as it came in."""

    at: datetime
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


class ReplayServer:
    """Answers with what `answer` makes of a path and a query, and keeps what was asked.

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
        self._server = ThreadingHTTPServer((HOST, 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def reply_to(self, asked: Asked) -> Reply:
        """Return the answer, and keep the question."""
        self.log.append(asked)
        return self.answer(asked)


def _handler_of(replay: ReplayServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(replay.time.now(), unquote(parts.path), dict(parse_qsl(parts.query)), headers)
            self.close_connection = True
            replay.reply_to(asked).send(self)

        def log_message(self, *_: Any) -> None:
            """Nothing goes to the terminal; the server's own log has it all."""

    return Handler
