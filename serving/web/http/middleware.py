"""Body limits: bounds on the size of a request body and on the time it takes."""

import asyncio
import logging
from typing import TYPE_CHECKING

from serving.api import problem_kinds
from serving.web.http import problems

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

logger = logging.getLogger("quantlake.serving")

BODY_BYTES = 262_144
"""Largest request body: a batch of 5,000 symbols takes about a third of it."""
DISCARDED_BYTES = 8_388_608
"""A body that is too large is read, and forgotten, up to here: a client that still sends does not read its answer."""
BODY_SECONDS = 10.0
SHOWN = 80
HEAD_BYTES = 32_768
"""Largest path and headers together; a token in one takes about a kilobyte."""
CLOSE = {"connection": "close"}
MALFORMED = "malformed_body"
"""Entry of a request's state that says what is wrong with the framing of its body, e.g. the size of a chunk."""
PLAIN = {b"", b"identity"}
"""Encodings of a body that is sent as it is."""


class LimitBody:
    """Refuse oversized requests with 413 or 431, and slow ones with 408.

    A client that is refused is read on for a moment, so that it gets to read why.

    Parameters
    ----------
    app
        Application behind it; it gets the whole body as one message.

    Attributes
    ----------
    seconds
        Longest time for a body, from the first to the last byte.
    """

    seconds = BODY_SECONDS

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Read the body up to the bound and hand it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if head_bytes(scope) > HEAD_BYTES:
            await _head_too_large(scope)(scope, receive, send)
            return
        if scope["method"] in {"GET", "HEAD"}:
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.seconds):
                body = await _body(scope, receive)
        except TimeoutError:
            await _too_slow(scope, self.seconds)(scope, receive, send)
            return
        if body is None:
            return
        if (refusal := _refusal_of(scope, body)) is not None:
            await refusal(scope, receive, send)
            return
        is_given = False

        async def replay() -> "Message":
            nonlocal is_given
            if is_given:
                return await receive()
            is_given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


class AnswerHead:
    """Answer HEAD as GET, without the body: a route that is read can be looked at.

    Parameters
    ----------
    app
        Application behind it; it sees a GET.
    """

    def __init__(self, app: "ASGIApp") -> None:
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Handle as GET, and send the head only."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: "Message") -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


async def _body(scope: "Scope", receive: "Receive") -> bytes | None:
    """Read a body; of one over the bound only its beginning is kept. None when the client has gone away."""
    announced = announced_length(scope)
    if announced > DISCARDED_BYTES or (announced > BODY_BYTES and _waits_to_be_asked(scope)):
        return bytes(BODY_BYTES + 1)  # the answer comes before the body does
    parts: list[bytes] = []
    size, has_more = 0, True
    while has_more and size <= DISCARDED_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        if size <= BODY_BYTES:
            parts.append(part)
        size, has_more = size + len(part), message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def announced_length(scope: "Scope") -> int:
    """Length the request says its body has; 0 when it says none or nonsense."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def head_bytes(scope: "Scope") -> int:
    """Size of a request's path and headers."""
    fields = sum(len(name) + len(value) for name, value in scope["headers"])
    return fields + len(scope["path"]) + len(scope["query_string"])


def _refusal_of(scope: "Scope", body: bytes) -> "Response | None":
    """Refusal of a body by its framing, encoding or size; None for one that may be parsed."""
    if (wrong := scope.get("state", {}).get(MALFORMED)) is not None:
        detail = f"The body is not framed as HTTP asks for, e.g. the size of a chunk is no number: {wrong}"
        return problems.respond(problem_kinds.BAD_REQUEST, detail, scope, headers=CLOSE)
    if body and (encodings := _encodings(scope)):
        return _encoded(scope, encodings)
    return _too_large(scope) if len(body) > BODY_BYTES else None


def _encodings(scope: "Scope") -> list[str]:
    """Encodings that a body was sent with, in the order in which they were applied; none for a plain body."""
    named = [
        part.strip().lower()
        for name, value in scope["headers"]
        if name == b"content-encoding"
        for part in value.split(b",")
    ]
    return [name.decode("latin-1") for name in named if name not in PLAIN]


def _encoded(scope: "Scope", encodings: list[str]) -> "Response":
    detail = f"The body is encoded with {', '.join(encodings)[:SHOWN]!r}, and only plain bodies are read."
    return problems.respond(problem_kinds.ENCODED, detail, scope, headers={"accept-encoding": "identity"})


def _waits_to_be_asked(scope: "Scope") -> bool:
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in scope["headers"])


def _too_large(scope: "Scope") -> "Response":
    detail = f"The request body is larger than {BODY_BYTES} bytes."
    return problems.respond(problem_kinds.TOO_LARGE, detail, scope, headers=CLOSE)


def _head_too_large(scope: "Scope") -> "Response":
    detail = f"The path and the headers together are larger than {HEAD_BYTES} bytes."
    return problems.respond(problem_kinds.HEAD_TOO_LARGE, detail, scope, headers=CLOSE)


def _too_slow(scope: "Scope", seconds: float) -> "Response":
    detail = f"The request body was not there in full after {seconds:g} seconds."
    return problems.respond(problem_kinds.TOO_SLOW, detail, scope, headers=CLOSE)
