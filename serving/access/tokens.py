"""Access tokens: exchanged for an API key and valid for an hour (RS256, RFC 7519)."""

import hashlib
import logging
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt
from jwt.algorithms import RSAAlgorithm

from lake.errors import ConfigError
from lake.settings import Settings
from serving.access import signing
from serving.access.keyring import KeyRing
from serving.access.signing import TOKEN_SECONDS, SigningKey
from serving.access.watched import Watched
from serving.api import Caller

logger = logging.getLogger("quantlake.access")

ALGORITHM = "RS256"
"""The only one there is: a token that names another, ``none`` and ``HS256`` among them, is refused."""
NAME = "quantlake"
"""Issuer and audience."""
CLAIMS = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti")
LETTERS = 4_096
CHECKED_TOKENS = 4_096


@dataclass(frozen=True)
class _Checks:
    """Public halves by name, and when each ends."""

    keys: dict[str, SigningKey]
    public: dict[str, Any]


def issue(settings: Settings, caller: Caller) -> str:
    """Issue a token for the holder of a key; it expires in an hour, or with the key."""
    key = signing.current(settings)
    now = int(time.time())
    claims = {
        "iss": NAME,
        "aud": NAME,
        "sub": caller.key_id,
        "role": caller.role,
        "tier": caller.tier,
        "iat": now,
        "nbf": now,
        "exp": int(min(now + TOKEN_SECONDS, caller.expires_at)),
        "jti": uuid.uuid4().hex,
    }
    return jwt.encode(claims, key.private or "", ALGORITHM, headers={"kid": key.kid})


class TokenReader:
    """Checks tokens. Safe for threads.

    What a token may do is what its key may do now: role and tier in it are for whoever reads it, and a token of a
    revoked key opens nothing.

    Parameters
    ----------
    settings
        Say in which home the signing keys are.
    ring
        Knows the API keys that tokens were made for.
    """

    def __init__(self, settings: Settings, ring: KeyRing) -> None:
        self._file = Watched(signing.signing_path(settings), _checks)
        self._ring = ring
        self._checked: dict[bytes, tuple[str, str, float]] = {}

    def find(self, token: str) -> Caller | None:
        """Return who shows this token.

        Returns
        -------
        Caller or None
            None where the token is no token of ours, has ended or not begun, or its key opens nothing any more.
        """
        digest = hashlib.sha256(token.encode()).digest()
        found = self._checked.get(digest) or self._check(token)
        if found is None:
            return None
        kid, key_id, ends = found
        signer, now = self._file.value().keys.get(kid), time.time()
        if now >= ends or signer is None or not signer.checks(datetime.now(UTC)):
            self._checked.pop(digest, None)
            return None
        if len(self._checked) >= CHECKED_TOKENS:
            self._checked.clear()
        self._checked[digest] = found
        holder = self._ring.of_id(key_id)
        if holder is None:
            return None
        return Caller(key_id, holder.role, holder.tier, holder.who, "token", min(ends, holder.expires_at))

    def key_set(self) -> dict[str, Any]:
        """Public keys that verify tokens."""
        return signing.key_set(list(self._file.fresh().keys.values()), datetime.now(UTC))

    def _check(self, token: str) -> tuple[str, str, float] | None:
        """Name of the signing key, id of the API key, and end of a token with a good signature and good claims."""
        if len(token) > LETTERS:
            return None
        try:
            kid = jwt.get_unverified_header(token).get("kid", "")
            public = self._file.value().public.get(kid) or self._file.fresh().public.get(kid)
            if public is None:
                return None
            claims = jwt.decode(
                token,
                public,
                algorithms=[ALGORITHM],
                audience=NAME,
                issuer=NAME,
                options={"require": list(CLAIMS), "strict_aud": True},
            )
        except (jwt.InvalidTokenError, UnicodeError, RecursionError):
            return None
        return kid, claims["sub"], float(claims["exp"])


def _checks(text: str | None) -> _Checks:
    try:
        keys = {key.kid: key for key in signing.parse(text)}
    except ConfigError as error:
        logger.error("no token is taken: %s", error)  # noqa: TRY400 - one sentence, the traceback says no more
        keys = {}
    return _Checks(keys, {kid: RSAAlgorithm.from_jwk(key.public) for kid, key in keys.items()})
