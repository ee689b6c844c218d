"""Gate: authentication in front of the web UIs, which have no login of their own.

Every local user reaches a port of 127.0.0.1, and so does a page of a stranger in a browser on this machine. A mutation
of the Dagster UI starts code as the user who runs it. So nothing passes without a session or a key, under another host,
or from another page.
"""

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from serving.access.browsers import (
    SAFE_METHODS,
    cookie_values,
    cross_site_reason,
    header_values,
    is_own_host,
    own_hosts,
)

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_FIELD = "token"  # noqa: S105 - the name of a field
POLICY_VIOLATION = 1008
POST_ONLY = frozenset({"/graphql"})
"""Paths that run mutations also when they are asked by GET; a link must not do that, so GET takes no query there."""


@dataclass(frozen=True)
class GateRefusal:
    """Refusal of a request: an HTTP status and a sentence with the next step."""

    status: int
    text: str


@dataclass
class Gate:
    """ASGI middleware: host, login, and origin of every request and WebSocket.

    Parameters
    ----------
    app
        Application behind it.
    port
        Port that it is served at on loopback.
    link_token
        Secret of the link that the terminal shows. It opens one session and is then used up.
    api_key
        Secret that programs of the same user send as ``Authorization: Bearer KEY``.
    where
        What to do to get in, for the refusals.
    """

    app: "ASGIApp"
    port: int
    link_token: str = field(repr=False)
    api_key: str = field(repr=False)
    where: str
    _session: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _is_link_used: bool = False

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Pass a request on, log in, or refuse."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        refusal = self._wrong_host(scope)
        if refusal is None and (token := self._link_token_of(scope)) is not None:
            await self._log_in(token, scope, send)
            return
        refusal = refusal or self._unknown(scope)
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await _refuse(refusal, scope, send)

    @property
    def cookie(self) -> str:
        """Name of the session's cookie; cookies are shared by all ports of a host."""
        return f"quantlake-{self.port}"

    def _wrong_host(self, scope: "Scope") -> GateRefusal | None:
        if is_own_host(scope, self.port):
            return None
        ours = ", ".join(sorted(own_hosts(self.port)))
        return GateRefusal(421, f"This address answers to {ours} only. Open it under one of them.")

    def _link_token_of(self, scope: "Scope") -> str | None:
        """The token of a link that was opened; None for anything else."""
        if scope["type"] != "http" or scope["method"] != "GET":
            return None
        return next((text for name, text in _query(scope) if name == TOKEN_FIELD), None)

    async def _log_in(self, token: str, scope: "Scope", send: "Send") -> None:
        """Exchange the link's token for a session, once, and go on to the address without it."""
        if self._is_link_used or not _is_same(token, self.link_token):
            await _refuse(GateRefusal(401, f"This link is not valid, or was used. {self.where}"), scope, send)
            return
        self._is_link_used = True
        rest = urlencode([(name, text) for name, text in _query(scope) if name != TOKEN_FIELD])
        path = quote("/" + scope["path"].lstrip("/\\"))  # two slashes would lead to another host
        headers = [
            (b"location", (path + (f"?{rest}" if rest else "")).encode()),
            (b"set-cookie", f"{self.cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict".encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"cache-control", b"no-store"),
            (b"content-length", b"0"),
        ]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _unknown(self, scope: "Scope") -> GateRefusal | None:
        """Reason to refuse a request, if any. A key is sent on purpose; a browser sends a cookie with every request."""
        shown = [value.decode("latin-1") for value in header_values(scope, b"authorization")]
        if len(shown) == 1:
            scheme, _, key = shown[0].partition(" ")
            if scheme.lower() == "bearer" and _is_same(key.strip(), self.api_key):
                return None
        if not self._has_session(scope):
            return GateRefusal(
                401, f"You are not logged in; if you have just logged in, reload this page. {self.where}"
            )
        return self._foreign_page(scope)

    def _has_session(self, scope: "Scope") -> bool:
        return any(_is_same(value, self._session) for value in cookie_values(scope, self.cookie))

    def _foreign_page(self, scope: "Scope") -> GateRefusal | None:
        """Reason why a request with a session is cross-site, or would run a query of a link."""
        if reason := cross_site_reason(scope):
            return GateRefusal(403, reason)
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            return None
        if scope["path"].rstrip("/") in POST_ONLY and scope["query_string"]:
            return GateRefusal(403, "A query in a link is not run. Send it as POST.")
        return None


async def _refuse(refusal: GateRefusal, scope: "Scope", send: "Send") -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "refused"})
        return
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = f"{refusal.text}\n".encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    start: Message = {"type": f"{kind}.start", "status": refusal.status, "headers": headers}
    await send(start)
    await send({"type": f"{kind}.body", "body": body})


def _query(scope: "Scope") -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _is_same(shown: str, secret: str) -> bool:
    """Compare in a time that does not depend on how much of it is right."""
    return hmac.compare_digest(shown.encode(), secret.encode())
