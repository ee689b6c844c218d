"""Connection limits: time and size of a request head, and the answer to a client that speaks no HTTP.

uvicorn bounds neither: a client that sends a header a minute, or headers without end, would keep its connection and
what it sent in memory for as long as it likes. An application cannot help: it is asked once the head is complete, and
no longer once it has answered. Nor does uvicorn bound what follows a body, or the time of a client that sends what is
no request: a byte now and then would keep the connection.
"""

import asyncio
import os
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.api import problem_kinds as kinds
from serving.web.http import problems
from serving.web.http.middleware import HEAD_BYTES, MALFORMED

HEAD_SECONDS = 10.0
"""Longest time for a head, from its first to its last byte."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with bounds on the head of a request, and with problem documents as refusals."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_in_head, self._head_size = False, 0
        self._has_begun, self._size_beside = False, 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request no longer than for a further one."""
        super().connection_made(transport)  # type: ignore[arg-type]
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def connection_lost(self, exc: Exception | None) -> None:
        """End what was waited for."""
        self._end_head()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin a head."""
        super().on_message_begin()
        self._is_in_head, self._head_size = True, 0
        self._has_begun, self._size_beside = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; trailers after a chunked body, which look the same, are dropped."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """End it."""
        self._end_head()
        self._size_beside = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._size_beside = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of this one; a head that has begun has a time of its own."""
        super().on_response_complete()
        if self._is_in_head:
            self._unset_keepalive_if_required()
        elif self.timeout_keep_alive_task is not None and self.cycle.more_body:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(self.head_seconds, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Take a part of a request; a head that came as one part, as nearly all do, costs nothing.

        Where a request is waited for, only the beginning of one ends the wait.
        """
        wait, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        self._has_begun = False
        self._size_beside += len(data)
        super().data_received(data)
        if wait is not None and self._has_begun:
            wait.cancel()
        elif wait is not None:
            self.timeout_keep_alive_task = wait
        if self.transport.is_closing():
            return
        if self._is_in_head:
            self._bound_head(data)
        elif self._size_beside > HEAD_BYTES:
            self.transport.close()  # neither head nor body, so it is part of no question

    def _bound_head(self, data: bytes) -> None:
        self._head_size += len(data)
        if self._head_size > HEAD_BYTES:
            detail = f"The path and the headers together are larger than {HEAD_BYTES} bytes."
            self._refuse(kinds.HEAD_TOO_LARGE, detail)
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def send_400_response(self, msg: str) -> None:
        """Answer 400 to data that is no HTTP; within a body the body's reader answers instead."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or not cycle.more_body:
            self._refuse(kinds.BAD_REQUEST, msg)
            return
        self._end_head()
        cycle.scope["state"][MALFORMED] = msg
        cycle.more_body = cycle.keep_alive = False
        cycle.message_event.set()

    def _too_slow(self) -> None:
        detail = f"The headers were not there in full after {self.head_seconds:g} seconds."
        self._refuse(kinds.TOO_SLOW, detail)

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, kind: kinds.Kind, detail: str) -> None:
        """Answer with a problem document and close; what was asked before is answered first, and this not at all."""
        self._end_head()
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False
            return
        body = problems.document(kind, detail, {"path": "/"}).model_dump_json().encode()
        head = f"HTTP/1.1 {kind.status} {kind.title}\r\ncontent-type: {problems.MEDIA_TYPE}\r\n"
        self.transport.write(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        self.transport.close()


def use(trusted_proxies: str = "") -> None:
    """Make it the default HTTP protocol of uvicorn in this process.

    Parameters
    ----------
    trusted_proxies
        Addresses and networks, with commas between, whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
        None by default; uvicorn's own default trusts every program of this machine.
    """
    from uvicorn.config import HTTP_PROTOCOLS

    HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedProtocol.__name__}"
    os.environ["FORWARDED_ALLOW_IPS"] = trusted_proxies  # the one way to tell a server that others configure
