"""Response of server-sent events to one page."""

import asyncio
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

    from serving.web.streaming import Subscriber

    Say = Callable[..., Awaitable[None]]

logger = logging.getLogger("quantlake.serving")

RETRY_MILLISECONDS = 2_000
"""How long a browser waits before it opens a lost stream again."""
LOOK_SECONDS = 0.5
"""How often an open stream looks whether its session has ended."""
HEARTBEAT_LOOKS = 30
"""Looks after which a comment is sent, so that a dead connection is noticed."""
GRACE_SECONDS = 1.0
"""How long a connection that does not read is kept for the end of the response."""
UNFINISHED = "ASGI callable returned without completing response."
"""What Uvicorn logs as an error of the application, and closes the connection."""
_was_dropped: ContextVar[bool] = ContextVar("was_dropped", default=False)
"""Whether the stream of the request that a task works for was left unfinished because nobody read it."""
BODY = "http.response.body"
HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no"))


class _ReaderGoneError(Exception):
    """The connection is closed: servers may raise an `OSError` then, see the HTTP part of ASGI 2.4."""


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
        logging.getLogger("uvicorn.error").addFilter(_is_no_dropped_reader)

    async def __call__(self, _scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Send until the first reason to end; a reader that has gone, or does not read, is no fault."""
        say = _saying(send)
        try:
            ended = await self._until_a_reason_to_end(receive, say)
            await _end(say)
        except _ReaderGoneError:
            return
        for outcome in ended:
            if isinstance(outcome, Exception) and not isinstance(outcome, _ReaderGoneError):
                raise outcome

    async def _until_a_reason_to_end(self, receive: "Receive", say: "Say") -> "list[BaseException | None]":
        """Send what waits; returns how each part ended."""

        async def write(text: str) -> None:
            if self._may_read():
                await say(BODY, body=text.encode(), more_body=True)

        tasks: list[asyncio.Future[None]] = []
        try:
            await say("http.response.start", status=200, headers=list(HEADERS))
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
        return ended

    async def _until_session_ends(self) -> None:
        looks = 0
        while self._may_read():
            await asyncio.sleep(LOOK_SECONDS)
            looks += 1
            if looks % HEARTBEAT_LOOKS == 0:
                self._waiting.put(": heartbeat\n\n")


def _saying(send: "Send") -> "Say":
    """Return a way to send messages that tells a closed connection from a fault of the program."""

    async def say(kind: str, **message: Any) -> None:
        try:
            await send({"type": kind, **message})
        except TimeoutError:
            raise
        except OSError as error:
            raise _ReaderGoneError from error

    return say


async def _end(say: "Say") -> None:
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await say(BODY, body=b"")
    except TimeoutError:
        _was_dropped.set(True)
        logger.info("a live page did not read and was dropped; it opens its stream anew")


async def _until_gone(receive: "Receive") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_no_dropped_reader(record: logging.LogRecord) -> bool:
    """Whether a line of Uvicorn is worth writing: a connection that was dropped on purpose is no error."""
    return not (_was_dropped.get() and record.getMessage() == UNFINISHED)
