"""What the registry said of the models in service when it was asked last, for as long as its file is the same.

Asking takes the import of MLflow, three seconds; reading its file takes milliseconds.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.disk import write_durably

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.engines import Bundle

CONFIRMED_FILE = ".registry_confirmed.json"
SQLITE = "sqlite:///"


def registry_files(configured: "Settings") -> tuple[Path, Path] | None:
    """Return the registry's file and its write-ahead log; None for a registry that is no file of this machine."""
    if not configured.tracking_uri.startswith(SQLITE):
        return None
    database = configured.tracking_uri.removeprefix(SQLITE)
    return Path(database), Path(f"{database}-wal")


def registry_digest(configured: "Settings") -> str | None:
    """SHA-256 of the registry's file and of its write-ahead log; None for a registry that is no file, or not there."""
    files = registry_files(configured)
    if files is None:
        return None
    database, log = files
    try:
        return sha256(database.read_bytes() + (log.read_bytes() if log.exists() else b"")).hexdigest()
    except FileNotFoundError:
        return None


def is_confirmed(configured: "Settings", bundle: "Bundle", version: str, registry: str | None) -> bool:
    """Whether a registry with this digest said that a file and signature are a version, and the version the champion.

    Parameters
    ----------
    registry
        What `registry_digest` gives now.
    """
    noted = _read(configured)
    is_same = registry is not None and noted.get("registry") == registry
    return is_same and noted.get("champions", {}).get(bundle.name) == _identity(bundle, version)


def note_confirmed(configured: "Settings", bundle: "Bundle", version: str, registry: str | None) -> None:
    """Store that the registry with this digest, taken before it was asked, has a version as champion."""
    if registry is None:
        return
    noted = _read(configured)
    others = noted.get("champions", {}) if noted.get("registry") == registry else {}
    champions = others | {bundle.name: _identity(bundle, version)}
    write_durably(configured.models / CONFIRMED_FILE, json.dumps({"registry": registry, "champions": champions}))


def _identity(bundle: "Bundle", version: str) -> list[str]:
    return [version, bundle.digest, bundle.signature.fingerprint]


def _read(configured: "Settings") -> dict[str, Any]:
    """Return what is stored; nothing where the file is missing or torn, so that the registry is asked."""
    try:
        stored = json.loads((configured.models / CONFIRMED_FILE).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return stored if isinstance(stored, dict) else {}
