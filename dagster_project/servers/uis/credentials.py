"""Credentials of a web UI's gate: a one-time link for the browser, and a key for programs."""

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from lake.disk import create_key_file, read_key_file
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
    if not path.exists():
        create_key_file(path, secrets.token_urlsafe(32))
    key = read_key_file(path, remedy="Delete it: a new key is made at the next start.").decode().strip()
    if not key:
        raise ConfigError(f"The key file {path} is empty. Delete it, and a new key is made at the next start.")
    return key
