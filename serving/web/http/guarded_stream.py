"""A WebSocket that closes when its key or token ends."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Send

ENDED, WHY = 1008, "the key or token that opened this connection has ended"


class Stream:
    """Pass messages on for as long as the caller may have them.

    Parameters
    ----------
    is_in_force
        Whether the caller still may; asked before each message in either direction.
    receive, send
        The connection.
    """

    def __init__(self, is_in_force: Callable[[], bool], receive: "Receive", send: "Send") -> None:
        self._is_in_force, self._receive, self._send = is_in_force, receive, send
        self._is_over = False

    async def receive(self) -> "Message":
        """Return the client's next message; what it sends after its end is a farewell."""
        if not self._is_over:
            message = await self._receive()
            if self._is_over or message["type"] != "websocket.receive" or self._is_in_force():
                return message
            await self._end()
        return {"type": "websocket.disconnect", "code": ENDED, "reason": WHY}

    async def send(self, message: "Message") -> None:
        """Send a message, or close the connection in its place; nothing follows."""
        if self._is_over:
            return
        if message["type"] == "websocket.send" and not self._is_in_force():
            await self._end()
            return
        await self._send(message)

    async def _end(self) -> None:
        if not self._is_over:
            self._is_over = True
            await self._send({"type": "websocket.close", "code": ENDED, "reason": WHY})
