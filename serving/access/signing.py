"""Signing keys of tokens: one signs, older ones verify until their last token has expired."""

import base64
import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from lake.disk import file_lock, write_private
from lake.errors import ConfigError
from lake.settings import Settings
from lake.store import Lake
from serving import audit
from serving.access.keys import folder, read_secret

FILE = "signing_keys.json"
BITS = 2048
TOKEN_SECONDS = 3_600
KEPT_AFTER = timedelta(seconds=TOKEN_SECONDS + 60)
"""How long a key that signs no more still checks: the life of a token, and a minute for clocks."""


@dataclass(frozen=True)
class SigningKey:
    """One pair of keys.

    Parameters
    ----------
    kid
        Its name in the head of a token: the thumbprint of its public half (RFC 7638).
    public
        Public half, as a JSON Web Key.
    private
        Private half as PEM; None once it signs no more, because then it is deleted.
    created_at, retired_at
        Since when it signs, and since when no more.
    """

    kid: str
    public: dict[str, str]
    private: str | None
    created_at: datetime
    retired_at: datetime | None = None

    def checks(self, at: datetime) -> bool:
        """Whether tokens that the key signed may still be valid."""
        return self.retired_at is None or at < self.retired_at + KEPT_AFTER


def current(settings: Settings) -> SigningKey:
    """Return the key that signs, made if there is none."""
    for key in held(settings):
        if key.private is not None:
            return key
    with _alone(settings):
        for key in held(settings):
            if key.private is not None:
                return key
        made = _make()
        _write(settings, [*held(settings), made])
        return made


def rotate(settings: Settings, *, by: str) -> SigningKey:
    """Make a new signing key; the former one drops its private half and is removed once its tokens have expired."""
    now = datetime.now(UTC)
    with _alone(settings):
        made = _make()
        old = [
            key if key.private is None else replace(key, private=None, retired_at=now)
            for key in held(settings)
            if key.checks(now)
        ]
        _write(settings, [*old, made])
    audit.record(Lake.open(settings), who=by, what="signing_key.rotate", details={"kid": made.kid})
    return made


def held(settings: Settings) -> list[SigningKey]:
    """Stored key pairs, the newest last."""
    try:
        return parse(read_secret(signing_path(settings)))
    except FileNotFoundError:
        return []


def parse(text: str | None) -> list[SigningKey]:
    """Parse the key file; None, for no file, gives no keys."""
    if text is None:
        return []
    try:
        return [_from_json(entry) for entry in json.loads(text)["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The file of the signing keys, {FILE}, cannot be read: {error}. Move it away (`quantlake doctor` has "
            "the command); a new key is made then, and "
            "clients ask for new tokens."
        ) from error


def key_set(keys: Sequence[SigningKey], at: datetime) -> dict[str, Any]:
    """Public halves of the keys that check at an instant, as a JSON Web Key Set (RFC 7517)."""
    return {"keys": [key.public for key in keys if key.checks(at)]}


def signing_path(settings: Settings) -> Path:
    """File of the pairs."""
    return settings.home / "access" / FILE


def _make() -> SigningKey:
    pair = rsa.generate_private_key(public_exponent=65_537, key_size=BITS)
    private = pair.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    jwk = RSAAlgorithm.to_jwk(pair.public_key(), as_dict=True)
    kid = _thumbprint(jwk)
    public = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": str(jwk["n"]), "e": str(jwk["e"])}
    return SigningKey(kid, public, private, datetime.now(UTC))


def _thumbprint(jwk: dict[str, Any]) -> str:
    canonical = json.dumps({"e": jwk["e"], "kty": "RSA", "n": jwk["n"]}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).decode().rstrip("=")


def _alone(settings: Settings) -> AbstractContextManager[None]:
    return file_lock(folder(settings) / ".signing.lock", "The file of the signing keys")


def _write(settings: Settings, keys: Sequence[SigningKey]) -> None:
    content = {"format": 1, "keys": [vars(key) for key in keys]}
    write_private(signing_path(settings), json.dumps(content, default=_instant, indent=1) + "\n")


def _from_json(fields: dict[str, Any]) -> SigningKey:
    retired = fields["retired_at"]
    return SigningKey(
        fields["kid"],
        dict(fields["public"]),
        fields["private"],
        datetime.fromisoformat(fields["created_at"]),
        None if retired is None else datetime.fromisoformat(retired),
    )


def _instant(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()
