"""What opens the gate of a web UI: a link for the browser of whoever started it, and a key for their programs."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from lake.errors import ConfigError

if TYPE_CHECKING:
    from lake.settings import Settings

VARIABLE = "QUANTLAKE_UI_LINK"
"""Environment variable that hands the link's secret to the process of a UI; arguments are visible to every user."""


def link_secret() -> str:
    """Return a new secret for one link."""
    return secrets.token_urlsafe(32)


def take_link_secret() -> str:
    """Return the secret that this process was given, and remove it from the environment of its children.

    Raises
    ------
    ConfigError
        If there is none: the process was not started by its verb.
    """
    secret = os.environ.pop(VARIABLE, "")
    if not secret:
        raise ConfigError(f"{VARIABLE} is not set. Start the UI with `quantlake ui` or `quantlake mlflow`.")
    return secret


def key_file(settings: "Settings") -> Path:
    """Path of the file with the key for programs of this user, mode 600."""
    return settings.home / "run" / "ui.key"


def api_key(settings: "Settings") -> str:
    """Return the key for programs of this user, made when it is asked for first.

    Raises
    ------
    ConfigError
        If others can read the file, so that the key is no secret any more.
    """
    path = key_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    if path.stat().st_mode & 0o077:
        raise ConfigError(
            f"The key file {path} is open to others, mode {path.stat().st_mode & 0o777:o}; expected 600. Delete it: "
            "a new key is made at the next start."
        )
    key = path.read_text(encoding="ascii").strip()
    if not key:
        raise ConfigError(f"The key file {path} is empty. Delete it, and a new key is made at the next start.")
    return key
