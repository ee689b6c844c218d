"""Seals of the online store: a keyed digest binds each value to the key it is stored under and to its every byte.

Whoever can write into Redis and has not the key file of the home can therefore neither change a value, nor put one in
the place of another, nor bring one from another home, without a reader noticing. What a seal cannot say is whether a
value is the newest of its key; `feature_repo.online.source` compares with the tables for that.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from hmac import compare_digest
from pathlib import Path
from typing import Any

from lake.disk import create_key_file, read_key_file
from lake.errors import OnlineStoreError
from lake.market import market_of
from lake.settings import Settings

KEY_BYTES = 32
SEAL_BYTES = 16
"""Room that a value has at its end for its seal."""
CONTEXT = b"quantlake.online"
"""Keeps these digests apart from any other use of the same key; the 16 bytes that BLAKE2b has for that."""


def key_path(settings: Settings) -> Path:
    """File of the key, in hexadecimal digits. Homes that share an external Redis need the same file."""
    return settings.home / "online.key"


@dataclass(frozen=True)
class OnlineKey:
    """Makes and checks seals.

    Parameters
    ----------
    secret
        32 random bytes.
    """

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "OnlineKey":
        """Return the key of a home; see `read`."""
        return cls.read(key_path(settings))

    @classmethod
    def read(cls, path: Path) -> "OnlineKey":
        """Read a key file; a home without one gets one.

        Raises
        ------
        OnlineStoreError
            If other users may read the file, or it holds no key.
        """
        try:
            return cls(_secret(path))
        except FileNotFoundError:
            create_key_file(path, secrets.token_hex(KEY_BYTES))
            return cls(_secret(path))

    def seal(self, name: str, content: bytes) -> bytes:
        """Return content followed by its seal under a name.

        Parameters
        ----------
        name
            Key in Redis: it says project, view and entity.
        """
        return content + self._seal(name, content)

    def seal_row(self, name: str, packed: bytes) -> bytes:
        """Seal what `Layout.pack` made: the room at its end takes the seal."""
        return self.seal(name, packed[:-SEAL_BYTES])

    def accepts(self, name: str, value: Any) -> bool:
        """Whether a value was sealed with this key under this name, and is unchanged since."""
        return (
            isinstance(value, bytes)
            and len(value) >= SEAL_BYTES
            and compare_digest(self._seal(name, memoryview(value)[:-SEAL_BYTES]), value[-SEAL_BYTES:])
        )

    def content(self, name: str, value: Any) -> bytes | None:
        """Return what was sealed under a name; None for what was not."""
        return value[:-SEAL_BYTES] if self.accepts(name, value) else None

    def _seal(self, name: str, content: bytes | memoryview) -> bytes:
        encoded = name.encode()
        digest = hashlib.blake2b(
            len(encoded).to_bytes(4, "little") + encoded, digest_size=SEAL_BYTES, key=self.secret, person=CONTEXT
        )
        digest.update(content)
        return digest.digest()


def _secret(path: Path) -> bytes:
    """Read the key of a file that only its owner may read."""
    command = market_of(path.parent).command("update")
    remedy = (
        f"Its key proves what the online store says. Delete it and run `{command}`, which makes another and "
        f"fills the store anew; run `chmod 600 {path}` instead if nobody can have read it."
    )
    text = read_key_file(path, remedy=remedy, error=OnlineStoreError)
    try:
        secret = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise OnlineStoreError(
            f"{path} holds no key: {len(text)} bytes, expected {2 * KEY_BYTES} hexadecimal digits. Delete it and run "
            f"`{command}`, which makes another and fills the store anew."
        )
    return secret
