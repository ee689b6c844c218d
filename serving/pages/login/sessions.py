"""Login sessions: random ids of 256 bits that a browser keeps in a cookie, and that are stored as digests here.

Sessions live in the memory of the dashboard's process: its end logs everybody out.
"""

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving.api import Caller

ID_BYTES = 32
IDLE_SECONDS, LONGEST_SECONDS = 8 * 3_600.0, 24 * 3_600.0
"""A session ends after so long without a request, and so long after the login whatever happens."""
SESSIONS = 1_000
"""Most sessions at a time; the one that was used longest ago ends first."""


@dataclass(frozen=True)
class LoginSession:
    """One browser that is logged in.

    Parameters
    ----------
    caller
        Whose key it logged in with.
    form_token
        What the forms of its pages carry, so that no other page can send one.
    began_at, used_at
        Monotonic seconds.
    """

    caller: "Caller"
    form_token: str = field(repr=False)
    began_at: float
    used_at: float


class SessionAge(NamedTuple):
    """How long ago, in seconds, a session began and was used last, and whether it is the one that asks."""

    began: float
    used: float
    is_this: bool


class LoginSessions:
    """The sessions of one dashboard. For one event loop.

    Parameters
    ----------
    is_in_force
        Whether the key of a caller still opens something; asked at each look-up.
    now
        Monotonic seconds.
    """

    def __init__(self, is_in_force: "Callable[[Caller], bool]", now: "Callable[[], float]" = time.monotonic) -> None:
        self._is_in_force, self._now = is_in_force, now
        self._held: dict[str, LoginSession] = {}

    def begin(self, caller: "Caller") -> str:
        """Begin a session and return its id, which was never anybody's before."""
        identifier = secrets.token_urlsafe(ID_BYTES)
        now = self._now()
        self._held[_digest(identifier)] = LoginSession(caller, secrets.token_urlsafe(ID_BYTES), now, now)
        if len(self._held) > SESSIONS:
            del self._held[next(iter(self._held))]
        return identifier

    def find(self, identifier: str) -> LoginSession | None:
        """Return the session of an id; None where it is unknown, at its end, or its key was revoked."""
        digest = _digest(identifier)
        session = self._held.pop(digest, None)
        if session is None or not self._is_alive(session):
            return None
        used = replace(session, used_at=self._now())
        self._held[digest] = used
        return used

    def is_alive(self, identifier: str) -> bool:
        """Whether the session of an id lasts; to look is no use of it, and does not prolong it."""
        session = self._held.get(_digest(identifier))
        return session is not None and self._is_alive(session)

    def end(self, identifier: str) -> None:
        """End a session; an unknown one is no error."""
        self._held.pop(_digest(identifier), None)

    def of_key(self, session: LoginSession) -> list[SessionAge]:
        """Return every session of the key of a session, that one too, the one begun last first."""
        now, own = self._now(), filter(self._is_alive, self._of_key(session).values())
        return sorted(SessionAge(now - each.began_at, now - each.used_at, _is_same(each, session)) for each in own)

    def end_others(self, session: LoginSession) -> None:
        """End every other session of the key of a session."""
        for digest, held in self._of_key(session).items():
            if not _is_same(held, session):
                del self._held[digest]

    def _of_key(self, session: LoginSession) -> dict[str, LoginSession]:
        key_id = session.caller.key_id
        return {digest: held for digest, held in self._held.items() if held.caller.key_id == key_id}

    def _is_alive(self, session: LoginSession) -> bool:
        now = self._now()
        is_young = now < session.began_at + LONGEST_SECONDS and now < session.used_at + IDLE_SECONDS
        return is_young and self._is_in_force(session.caller)


def is_form_of(session: LoginSession, shown: str) -> bool:
    """Whether a form was sent by a page of this session."""
    return hmac.compare_digest(session.form_token.encode(), shown.encode())


def _is_same(one: LoginSession, other: LoginSession) -> bool:
    """Whether two states are of one session: its form token stays, and no other has it."""
    return hmac.compare_digest(one.form_token, other.form_token)


def _digest(identifier: str) -> str:
    return hashlib.sha256(identifier.encode()).hexdigest()
