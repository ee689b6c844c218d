"""Faults of networks and vendors, scripted on the replay server of `lake.sources.replay`.

That server is built on the standard library because a better one corrects what must be wrong here: a cut body, a false
length, a reset. Client and server share one virtual clock, so that no test sleeps; the log says what was asked when.
"""

import gzip
import socket
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from types import TracebackType

from lake.sources.replay import Asked, ReplayServer, Reply, VirtualTime, reply

__all__ = ["Asked", "FaultyServer", "Reply", "VirtualTime", "reply"]
OK = 200
Fault = Callable[[Reply, "FaultyServer"], Reply]
"""What becomes of the answer that was due."""


@dataclass(frozen=True)
class TornReply(Reply):
    """An answer whose body is less than `length` says."""

    length: int = 0

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        self.send_as_long_as(handler, self.length)


class ResetReply(Reply):
    """No answer: the connection breaks."""

    def send(self, handler: BaseHTTPRequestHandler) -> None:
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()


@dataclass(frozen=True)
class SilentReply(Reply):
    """No answer while the server lives."""

    is_closing: threading.Event | None = None

    def send(self, handler: BaseHTTPRequestHandler) -> None:  # noqa: ARG002 - nothing is sent
        assert self.is_closing is not None
        self.is_closing.wait()


def ok() -> Fault:
    """Let the answer through, between two faults."""
    return lambda due, _: due


def status(code: int, body: str = "", *, retry_after: float | None = None, as_date: bool = False) -> Fault:
    """Answer with another status, with the seconds or the date to come back at if wanted."""

    def fail(_: Reply, server: "FaultyServer") -> Reply:
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
    return lambda due, _: TornReply(due.body[: int(len(due.body) * share)], due.status, due.headers, len(due.body))


def length(more: int) -> Fault:
    """Say a wrong length: with a positive one the body ends too early, with a negative one it goes on too long."""
    return lambda due, _: TornReply(due.body, due.status, due.headers, len(due.body) + more)


def reset() -> Fault:
    """Break the connection before the answer."""
    return lambda _, __: ResetReply()


def silent() -> Fault:
    """Never answer."""
    return lambda _, server: SilentReply(is_closing=server.is_closing)


def html() -> Fault:
    """Answer with the page of a proxy, with status 200."""
    return lambda _, __: Reply(b"<!doctype html><title>Sign in</title>", OK, {"content-type": "text/html"})


def gzip_cut() -> Fault:
    """Send a packed body that ends in the middle, with a length that fits."""

    def fail(due: Reply, _: "FaultyServer") -> Reply:
        packed = gzip.compress(due.body)
        return Reply(packed[: len(packed) // 2] + b"\x00\xff", due.status, {"content-encoding": "gzip"})

    return fail


class FaultyServer(ReplayServer):
    """A replay server that fails where a fault is scripted for the path."""

    def __init__(self, time: VirtualTime, answer: Callable[[Asked], Reply]) -> None:
        super().__init__(time, answer)
        self.is_closing = threading.Event()
        self._faults: dict[str, deque[Fault]] = defaultdict(deque)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_closing.set()
        super().__exit__(kind, error, trace)

    def script(self, path: str, *faults: Fault) -> None:
        """Let the next requests whose path begins so fail, one after the other."""
        self._faults[path].extend(faults)

    def heal(self) -> None:
        """Forget the faults that have not come yet."""
        self._faults.clear()

    def reply_to(self, asked: Asked) -> Reply:
        """Return the scripted or the ordinary answer."""
        due = super().reply_to(asked)
        for path, faults in self._faults.items():
            if asked.path.startswith(path) and faults:
                return faults.popleft()(due, self)
        return due
