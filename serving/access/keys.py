"""API keys: created, listed, revoked and deleted; a stored key can be checked, not recovered.

A key reads ``ql_<id>_<secret>``. Its secret is 256 random bits, so one SHA-256 of it is as good as a slow hash, which
is for passwords that people choose. The text is shown once, when the key is made; the local key, which every program of
this home may use, is the one that is kept, in a file that only its owner may read.
"""

import base64
import hashlib
import json
import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from lake.disk import file_lock, flush, read_key_file, write_private
from lake.errors import ConfigError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from serving import audit
from serving.api import KEY_PREFIX, ROLES, TIERS, Caller, Role, Tier

FOLDER, KEYS_FILE, LOCAL_FILE, USE_FILE = "access", "keys.json", "local_key", "last_used.json"
SECRET_BYTES = 32
NAME_LETTERS = 64


@dataclass(frozen=True)
class Key:
    """The stored part of an API key.

    Parameters
    ----------
    id
        Its middle part, by which it is listed and revoked.
    name
        What its owner calls it.
    role, tier
        What it may do, and how often.
    digest
        SHA-256 of the whole text.
    salt
        Makes the pseudonym `who` one that only this entry can tell.
    created_at, expires_at, revoked_at
        Instants; it never ends, and is not revoked, where they are None.
    """

    id: str
    name: str
    role: Role
    tier: Tier
    digest: str
    salt: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def who(self) -> str:
        """Pseudonym in the audit trail."""
        return f"key:{hashlib.sha256(f'{self.salt}{self.id}'.encode()).hexdigest()[:16]}"

    def is_in_force(self, at: datetime) -> bool:
        """Whether the key is valid at an instant."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)

    def caller(self) -> Caller:
        """Caller that the key stands for."""
        ends = math.inf if self.expires_at is None else self.expires_at.timestamp()
        return Caller(self.id, self.role, self.tier, self.who, expires_at=ends)


def create(
    settings: Settings, name: str, role: Role, tier: Tier, *, by: str, expires_at: datetime | None = None
) -> tuple[Key, str]:
    """Create a key; its text is returned once and not stored.

    Parameters
    ----------
    by
        Who makes it, for the audit trail.

    Raises
    ------
    ConfigError
        If the name cannot be shown in a list, or the key would have ended already.
    UnknownNameError
        If there is no such role or tier.
    """
    _require(name, role, tier, expires_at)
    key_id, secret = _letters(6), _letters(SECRET_BYTES)
    text = f"{KEY_PREFIX}_{key_id}_{secret}"
    now = datetime.now(UTC)
    key = Key(key_id, name, role, tier, digest_of(text), _letters(16), now, expires_at)
    with _changing(settings) as keys:
        details = {"key": key.who, "role": role, "tier": tier, "expires_at": expires_at}
        audit.record(Lake.open(settings), who=by, what="key.create", details=details)
        keys.append(key)
    return key, text


def listing(settings: Settings) -> list[Key]:
    """Every key, revoked ones too, the oldest first."""
    return parse(_text(keys_path(settings)))


def find(settings: Settings, key_id: str) -> Key:
    """Return the key of an id; the key's whole text is accepted too."""
    keys = listing(settings)
    wanted = id_of(key_id) or key_id
    for key in keys:
        if key.id == wanted:
            return key
    raise UnknownNameError("key", wanted[:NAME_LETTERS], [key.id for key in keys])


def revoke(settings: Settings, key_id: str, *, by: str) -> Key:
    """Revoke a key and its tokens; every process applies it within half a second."""
    found = find(settings, key_id)
    with _changing(settings) as keys:
        place = [key.id for key in keys].index(found.id)
        if keys[place].revoked_at is None:
            keys[place] = replace(keys[place], revoked_at=datetime.now(UTC))
        key = keys[place]
    audit.record(Lake.open(settings), who=by, what="key.revoke", details={"key": key.who})
    return key


def forget(settings: Settings, key_id: str, *, by: str) -> Key:
    """Delete the entry of a key. What the audit trail says of its pseudonym stays, and leads nowhere from now on."""
    found = find(settings, key_id)
    with _changing(settings) as keys:
        keys[:] = [key for key in keys if key.id != found.id]
        local = local_path(settings)
        if id_of((_text(local) or "").strip()) == found.id:
            local.unlink()
            flush(local.parent)
    note_use(settings, {})
    audit.record(Lake.open(settings), who=by, what="key.forget", details={"key": found.who})
    return found


def local_key(settings: Settings) -> str:
    """Return the key that programs of this home use, and make it where there is none or it was revoked.

    It has the role `operator` and no limit, like the one who owns the files of this home anyway.

    Raises
    ------
    ConfigError
        If others may read the file it is kept in.
    """
    kept = kept_local_key(settings)
    if kept is not None:
        return kept
    with _alone(settings, "local"):
        kept = kept_local_key(settings)
        if kept is None:
            _, kept = create(settings, "local", "operator", "unlimited", by="first run")
            write_private(local_path(settings), f"{kept}\n")
        return kept


def kept_local_key(settings: Settings) -> str | None:
    """Return the local key if there is one and it is in force; nothing is made."""
    try:
        text = read_secret(local_path(settings)).strip()
    except FileNotFoundError:
        return None
    digest, now = digest_of(text), datetime.now(UTC)
    is_good = any(key.digest == digest and key.is_in_force(now) for key in listing(settings))
    return text if is_good else None


def note_use(settings: Settings, used: dict[str, datetime]) -> None:
    """Remember when keys were last used; an earlier time changes nothing, and a key that was forgotten stays so."""
    with _alone(settings, "use"):
        held = last_used(settings)
        known = {key.id for key in listing(settings)}
        latest = held | {key_id: max(at, held.get(key_id, at)) for key_id, at in used.items()}
        kept = {key_id: at for key_id, at in latest.items() if key_id in known}
        write_private(folder(settings) / USE_FILE, json.dumps(kept, default=_instant, indent=1) + "\n")


def last_used(settings: Settings) -> dict[str, datetime]:
    """When each key was last used, to about a minute; keys that never were are not in it."""
    text = _text(folder(settings) / USE_FILE)
    return {} if text is None else {name: datetime.fromisoformat(at) for name, at in json.loads(text).items()}


def parse(text: str | None) -> list[Key]:
    """Parse the key file; None, for no file, gives no keys."""
    if text is None:
        return []
    try:
        return [_from_json(entry) for entry in json.loads(text)["keys"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"The file of the API keys, {KEYS_FILE}, cannot be read: {error}. Restore it from a backup, or move it "
            "away (`quantlake doctor` has the command) and make the keys anew with `quantlake keys create`."
        ) from error


def digest_of(text: str) -> str:
    """Digest that is stored in place of a key's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def id_of(text: str) -> str | None:
    """Id within a key's text; None for anything else."""
    parts = text.split("_")
    return parts[1] if len(parts) == 3 and parts[0] == KEY_PREFIX else None  # noqa: PLR2004 - ql, id, secret


def folder(settings: Settings) -> Path:
    """Folder of everything about access, which only its owner may open."""
    path = settings.home / FOLDER
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def keys_path(settings: Settings) -> Path:
    """File of the keys' hashes."""
    return settings.home / FOLDER / KEYS_FILE


def local_path(settings: Settings) -> Path:
    """File of the local key."""
    return settings.home / FOLDER / LOCAL_FILE


def read_secret(path: Path) -> str:
    """Read a file with a secret; refuse one that others may read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConfigError
        Naming the file and the command that mends it.
    """
    remedy = f"Run `chmod 600 {path}`, and `quantlake keys revoke` the key if somebody else may have read it."
    return read_key_file(path, remedy=remedy).decode()


def _require(name: str, role: str, tier: str, expires_at: datetime | None) -> None:
    if not (name.strip() and name.isprintable() and len(name) <= NAME_LETTERS):
        raise ConfigError(
            f"A key's name has 1 to {NAME_LETTERS} printable letters, and this one is {name[:NAME_LETTERS]!r}."
        )
    for kind, value, known in (("role", role, ROLES), ("tier", tier, TIERS)):
        if value not in known:
            raise UnknownNameError(kind, value, known)
    if expires_at is not None and expires_at <= datetime.now(UTC):
        raise ConfigError(f"The key would have ended before it was made, at {expires_at:%Y-%m-%d %H:%M} UTC.")


@contextmanager
def _changing(settings: Settings) -> Iterator[list[Key]]:
    """Lock the keys, and store the list as the block leaves it unless the block fails."""
    with _alone(settings, "keys"):
        keys = listing(settings)
        yield keys
        _write_keys(settings, keys)


def _alone(settings: Settings, what: str) -> AbstractContextManager[None]:
    return file_lock(folder(settings) / f".{what}.lock", "The folder of the API keys")


def _write_keys(settings: Settings, keys: Sequence[Key]) -> None:
    content = {"format": 1, "keys": [asdict(key) for key in keys]}
    write_private(keys_path(settings), json.dumps(content, default=_instant, indent=1) + "\n")


def _from_json(record: dict[str, str | None]) -> Key:
    times = {name: at and datetime.fromisoformat(at) for name, at in record.items() if name.endswith("_at")}
    known = {field.name for field in fields(Key)}
    return Key(**{name: value for name, value in (record | times).items() if name in known})  # type: ignore[arg-type]


def _instant(value: object) -> str:
    assert isinstance(value, datetime)
    return value.isoformat()


def _letters(count: int) -> str:
    """Random bytes as lower-case letters and digits."""
    return base64.b32encode(secrets.token_bytes(count)).decode().rstrip("=").lower()


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
