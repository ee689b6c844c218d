"""Authentication and authorisation middleware: finds the caller, and refuses what the policy does not allow."""

import logging
import math
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, urlencode

from anyio import CapacityLimiter, to_thread

from lake.errors import QuantlakeError
from serving.access import WEBSOCKET, Policy, Rule
from serving.access.exposure import is_from_here
from serving.access.limits import NOTHING_ALLOWED, UNLIMITED, Headers
from serving.api import KEY_PREFIX
from serving.api import problem_kinds as kinds
from serving.web.http import problems
from serving.web.http.guarded_stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serving.access.checks import Access
    from serving.api import Caller
    from serving.api.problem_kinds import Kind

logger = logging.getLogger("quantlake.access")

STARTS = {"http.response.start", "websocket.http.response.start", "websocket.accept"}
REFUSED = 1008
"""Code with which a WebSocket is closed whose server cannot send an answer instead ("policy violation")."""
TOKEN_FIELD = "token"  # noqa: S105 - the name of a field


FORBIDDEN_SECONDS = 60.0
"""Of a key that asks for what it may not, one attempt in so many seconds is in the audit trail; all are in the log."""


class AccessRefusal(NamedTuple):
    """Reason why a request is refused."""

    kind: "Kind"
    detail: str
    headers: dict[str, str]


class AccessControl:
    """Authenticate and authorise each request and WebSocket; a refused one gets a problem document.

    In front of the application's routes: ``scope["state"]["caller"]`` is a `Caller` from here on, or None on a route
    that is open. Every answer carries the headers of the limit.

    Parameters
    ----------
    app
        Application behind it; its ``state.access`` is an `Access`. Without one every request is refused.
    policy
        What each route needs.
    """

    def __init__(self, app: "ASGIApp", policy: Policy | None = None) -> None:
        self._app, self._policy = app, policy or Policy()
        self._writers = CapacityLimiter(1)  # rows are written one after the other anyway
        self._forbidden_at: dict[str, float] = {}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Judge a request, and pass it on or answer it."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        rule = self._policy.rule(_method(scope), scope["path"])
        if rule is None:
            await _refuse(self._not_declared(scope), NOTHING_ALLOWED, scope, receive, send)
            return
        scope["route"] = rule  # a refused request is measured under its route too
        state = scope.setdefault("state", {})
        state["caller"] = None
        if rule.needs == "open" or (rule.needs == "local" and is_from_here(scope)):
            await self._app(scope, receive, _adding(UNLIMITED, send))
            return
        access: Access | None = getattr(scope["app"].state, "access", None)
        caller, headers, refusal = await _judge(access, rule, scope)
        if caller is not None and access is not None:
            state["caller"] = caller
            if rule.needs == "operator" and self._is_for_the_trail(caller, rule, refusal):
                write = partial(access.record, caller, rule.method, rule.path)
                send = _Recording(write, self._writers, scope, receive, send).send
        if refusal is not None:
            await _refuse(refusal, headers, scope, receive, send)
        elif caller is not None and access is not None and scope["type"] == "websocket":
            stream = Stream(partial(access.is_in_force, caller), receive, _adding(headers, send))
            await self._app(_without_token(scope), stream.receive, stream.send)
        else:
            await self._app(scope, receive, _adding(headers, send))

    def _is_for_the_trail(self, caller: "Caller", rule: Rule, refusal: AccessRefusal | None) -> bool:
        """Whether the result of a request to an operator route is recorded in the audit trail.

        What is done is, always. What is refused is the caller's to repeat, so a limit leaves no row, and a role that
        does not reach leaves one now and then.
        """
        if refusal is None:
            return True
        logger.warning("%s %s is refused to %s: %s", rule.method, rule.path, caller.who, refusal.kind.title)
        now = time.monotonic()
        if refusal.kind is not kinds.FORBIDDEN:
            return False
        if now - self._forbidden_at.get(caller.key_id, -math.inf) < FORBIDDEN_SECONDS:
            return False
        self._forbidden_at[caller.key_id] = now
        return True

    def _not_declared(self, scope: "Scope") -> AccessRefusal:
        methods = [] if scope["type"] == "websocket" else self._policy.methods(scope["path"])
        where = f"{_method(scope)} {scope['path'][:80]}"
        if methods:
            allow = ", ".join(methods)
            return AccessRefusal(
                kinds.WRONG_METHOD, f"There is no route {where}; the path takes {allow}.", {"allow": allow}
            )
        return AccessRefusal(kinds.UNKNOWN_ROUTE, f"There is no route {where}.", {})


async def _judge(
    access: "Access | None", rule: Rule, scope: "Scope"
) -> "tuple[Caller | None, Headers, AccessRefusal | None]":
    """Return the caller, the rate-limit headers, and the refusal if there is one."""
    shown = _shown(scope)
    caller = access.find(shown[0]) if access is not None and len(shown) == 1 else None
    if caller is None or access is None:
        return None, NOTHING_ALLOWED, _who_is_it(shown)
    verdict = await access.count(caller)
    if not verdict.is_allowed:
        return caller, verdict.headers, _not_now(verdict.retry_seconds, verdict.counted)
    if not caller.may(rule.role):
        detail = f"This needs a key with the role '{rule.role}', and this one has the role '{caller.role}'."
        return caller, verdict.headers, AccessRefusal(kinds.FORBIDDEN, detail, {})
    return caller, verdict.headers, None


def _shown(scope: "Scope") -> list[str]:
    """Different keys and tokens that a request shows."""
    shown = []
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, text = value.decode("latin-1").partition(" ")
            shown.append(text.strip() if scheme.lower() == "bearer" else "")
        elif name == b"x-api-key":
            shown.append(value.decode("latin-1").strip())
    if scope["type"] == "websocket" and not shown:
        # A browser cannot send headers with a WebSocket. A key has no place in an address: addresses are logged.
        given = [text for name, text in _query(scope) if name == TOKEN_FIELD]
        shown = ["" if text.startswith(f"{KEY_PREFIX}_") else text for text in given]
    return list(dict.fromkeys(shown))


def _who_is_it(shown: list[str]) -> AccessRefusal:
    challenge = 'Bearer realm="quantlake"'
    if not shown:
        return AccessRefusal(kinds.UNAUTHENTICATED, "The request carries no key.", {"www-authenticate": challenge})
    detail = (
        "The key or token is unknown, revoked, at its end, or not made for this service."
        if len(shown) == 1
        else "The request carries more than one key or token, and which one counts is not guessed."
    )
    return AccessRefusal(kinds.UNAUTHENTICATED, detail, {"www-authenticate": f'{challenge}, error="invalid_token"'})


def _not_now(seconds: int, counted: str) -> AccessRefusal:
    if counted == "none":
        detail = "The request could not be counted, so it is not let through."
        return AccessRefusal(kinds.NO_LIMITER, detail, {})
    detail = f"The key has had all the answers of an hour; the next one is in {seconds} seconds."
    return AccessRefusal(kinds.TOO_MANY_REQUESTS, detail, {"retry-after": str(seconds)})


async def _refuse(refusal: AccessRefusal, headers: Headers, scope: "Scope", receive: "Receive", send: "Send") -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": REFUSED, "reason": refusal.kind.title})
        return
    answer = problems.respond(refusal.kind, refusal.detail, scope, headers=refusal.headers)
    await answer(scope, receive, _adding(headers, send))


def _adding(headers: Headers, send: "Send") -> "Send":
    """Send the same, with headers."""

    async def sending(message: "Message") -> None:
        if message["type"] in STARTS:
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return sending


class _Recording:
    """Send an answer after its audit row is written: no client sees an operation that the audit trail does not hold."""

    def __init__(
        self,
        write: "Callable[[int], None]",
        writers: CapacityLimiter,
        scope: "Scope",
        receive: "Receive",
        send: "Send",
    ) -> None:
        self._write, self._writers = write, writers
        self._scope, self._receive, self._send = scope, receive, send
        self._is_unknown = False

    async def send(self, message: "Message") -> None:
        """Write it down before its first part, and say so in its place if that fails."""
        if message["type"] in STARTS:
            try:
                await to_thread.run_sync(self._write, message.get("status", 101), limiter=self._writers)
            except (QuantlakeError, OSError) as error:
                logger.error("the audit trail cannot be written: %s", error)  # noqa: TRY400 - one sentence says it all
                self._is_unknown = True
                detail = "The audit trail cannot be written, so whether this was done is not said."
                await problems.respond(kinds.NOT_AVAILABLE, detail, self._scope)(self._scope, self._receive, self._send)
        if not self._is_unknown:
            await self._send(message)


def _method(scope: "Scope") -> str:
    return WEBSOCKET if scope["type"] == "websocket" else str(scope["method"])


def _query(scope: "Scope") -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _without_token(scope: "Scope") -> "Scope":
    """Return the scope without what the application and its logs must not see."""
    kept = [(name, text) for name, text in _query(scope) if name != TOKEN_FIELD]
    return {**scope, "query_string": urlencode(kept).encode()}
