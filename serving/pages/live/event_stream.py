"""Response of server-sent events to one page."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from serving.web.streaming import Subscriber

RETRY_MILLISECONDS = 2_000
"""How long a browser waits before it opens a lost stream again."""
LOOK_SECONDS = 0.5
"""How often an open stream looks whether its session has ended."""
HEARTBEAT_LOOKS = 30
"""Looks after which a comment is sent, so that a dead connection is noticed."""
GRACE_SECONDS = 1.0
"""How long a connection that does not read is kept for the end of the response."""
HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))


class EventStream:
    """ASGI response: sends what waits for a page, until the page leaves, reads too slowly or may read no more.

    Parameters
    ----------
    waiting
        Events that wait; on overflow the stream ends.
    may_read
        Whether the session of the page lasts; asked before each event, and every half second.
    on_end
        Called once the stream has ended, however it did.
    """

    def __init__(self, waiting: "Subscriber", may_read: "Callable[[], bool]", on_end: "Callable[[], None]") -> None:
        self._waiting, self._may_read, self._on_end = waiting, may_read, on_end

    async def __call__(self, _scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send until the first reason to end."""

        async def write(text: str) -> None:
            if self._may_read():
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        tasks: list[asyncio.Future[None]] = []
        try:
            await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
            await write(f"retry: {RETRY_MILLISECONDS}\n\n")
            parts = (
                self._waiting.send_all(write),
                self._waiting.until_slow(),
                self._until_session_ends(),
                _until_gone(receive),
            )
            tasks += [asyncio.ensure_future(part) for part in parts]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._on_end()
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_SECONDS):
                await send({"type": "http.response.body", "body": b""})
        for outcome in ended:
            if isinstance(outcome, Exception):
                raise outcome

    async def _until_session_ends(self) -> None:
        looks = 0
        while self._may_read():
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1
            if looks % HEARTBEAT_LOOKS == 0:
                self._waiting.put(": heartbeat\n\n")


async def _until_gone(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
