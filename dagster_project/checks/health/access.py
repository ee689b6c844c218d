"""Checks of key and secret files: readable, and private to their owner."""

import json
import os
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.checks.health.finding import HealthFinding, set_aside
from lake.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

OTHERS = 0o077


def key_files(configured: Settings) -> list[HealthFinding]:
    """Look at the files of API keys, signing keys and when keys were used, and at the local key."""
    from serving.access import keys, signing

    folder = configured.home / keys.FOLDER
    looks: dict[str, tuple[Callable[[str], object], str, str]] = {
        keys.KEYS_FILE: (keys.parse, "damaged API keys", "every API key is refused until they are made anew"),
        signing.FILE: (signing.parse, "damaged signing keys", "no token can be given or checked; a new key is made"),
        keys.USE_FILE: (_parse_use, "damaged record of key use", "when each key was last used is not known"),
        keys.LOCAL_FILE: (_parse_local, "damaged local key", "programs of this home get a new key"),
    }
    found = list[HealthFinding]()
    for name, (parse, kind, meaning) in looks.items():
        path = folder / name
        if not path.is_file():
            continue
        try:
            parse(path.read_text(encoding="utf-8"))
        except Exception as error:  # noqa: BLE001 - whatever garbage makes a parser raise, the file is damaged
            message = str(error).splitlines()[0][:200].rstrip(".")
            found.append(HealthFinding(kind, path, f"it cannot be read ({message}); {meaning}", set_aside(path)))
    return found


def permissions(configured: Settings) -> list[HealthFinding]:
    """Look at who may enter the home, who may read its secrets, and to whom they belong."""
    if not configured.home.is_dir():
        return []
    found = [_open_to_others(configured.home, is_home=True)]
    for path in _secrets(configured):
        found += [_open_to_others(path), _of_another(path)]
    return [finding for finding in found if finding is not None]


def _secrets(configured: Settings) -> list[Path]:
    """Existing files that only their owner may read."""
    from serving.access import keys
    from serving.audit import HEAD_FILE
    from serving.forecast_log import log_paths

    access = configured.home / keys.FOLDER
    kept = [path for path in sorted(access.glob("*")) if path.is_file() and path.suffix != ".lock"]
    redis = [path for path in sorted(configured.redis.glob("*")) if "password" in path.name or "acl" in path.name]
    heads = [path for path in [configured.tables / HEAD_FILE] if path.exists()]
    return [*kept, *redis, *heads, *log_paths(configured)]


def _open_to_others(path: Path, *, is_home: bool = False) -> HealthFinding | None:
    mode = path.stat().st_mode & 0o777
    if not mode & OTHERS:
        return None
    expected, command = (0o700, "chmod 700") if is_home else (0o600, "chmod 600")
    what = "other users of this machine may enter it" if is_home else "it holds a secret, and others may read it"
    meaning = f"{what} (mode {mode:o}, expected {expected:o})"
    return HealthFinding("open to others", path, meaning, f"{command} {shlex.quote(str(path))}", is_damage=False)


def _of_another(path: Path) -> HealthFinding | None:
    owner, me = path.stat().st_uid, os.geteuid()
    if owner == me:
        return None
    command = f"sudo chown {me} {shlex.quote(str(path))}"
    return HealthFinding(
        "of another user", path, f"it belongs to user {owner}, this is user {me}", command, is_damage=False
    )


def _parse_use(text: str) -> None:
    for at in json.loads(text).values():
        datetime.fromisoformat(at)


def _parse_local(text: str) -> None:
    from serving.access import keys

    if keys.id_of(text.strip()) is None:
        raise ValueError("it is no key of this project")
