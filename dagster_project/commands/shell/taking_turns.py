"""Job lock: one computing or cleaning command at a time in a home."""

import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from dagster_project.commands.shell.console import console
from lake.disk import job_lock
from lake.errors import ConfigError
from lake.settings import settings


def taking_turn(verb: str, *, makes_home: bool = False) -> AbstractContextManager[None]:
    """Wait for the job lock of this home, e.g. for ``advance``; the holder's name goes to stderr.

    Parameters
    ----------
    makes_home
        Whether the verb begins a home where there is none; any other then has nothing to hold, and makes nothing.

    Raises
    ------
    ConfigError
        If the home cannot be made, or not be written to.
    """
    home = settings().home
    if not (makes_home or home.exists()):
        return nullcontext()
    _require_writable(home, verb)
    errors = console(soft_wrap=True, stderr=True)
    return job_lock(home, f"quantlake {verb}", lambda message: errors.print(message, markup=False, highlight=False))


def _require_writable(home: Path, verb: str) -> None:
    """Make the home where there is none, and refuse one that cannot be written to before anything is computed."""
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"QUANTLAKE_HOME is {home}, and it cannot be made: {error.strerror}. Choose a folder that can be."
        ) from error
    if not os.access(home, os.W_OK | os.X_OK):
        raise ConfigError(
            f"The home {home} cannot be written to, and `quantlake {verb}` writes there. Let this user write to it, or "
            "set QUANTLAKE_HOME to another folder."
        )
