"""Types of the health checks: a check, and its finding."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lake.settings import Settings


@dataclass(frozen=True)
class HealthFinding:
    """One thing under the home that is wrong.

    Parameters
    ----------
    kind
        What was found, e.g. ``torn log entry``.
    path
        Where.
    meaning
        What it means for who uses the platform.
    remedy
        The exact next command.
    is_damage
        Whether a file is not what was written. Otherwise it is something to look after, e.g. who may read the home.
    """

    kind: str
    path: Path
    meaning: str
    remedy: str
    is_damage: bool = True


Look = Callable[[Settings], list[HealthFinding]]


@dataclass(frozen=True)
class Check:
    """One part of the home that `quantlake doctor` looks at.

    Parameters
    ----------
    name
        What is looked at, as it is shown.
    look
        Finds what can be found in about a second, whatever is there or not.
    look_deep
        Reads every byte; by default there is nothing more to be found.
    """

    name: str
    look: Look
    look_deep: Look | None = None


def set_aside(path: Path) -> str:
    """The command that moves a damaged file out of the way, see `dagster_project.checks.health.aside`."""
    return f"quantlake doctor --set-aside {shlex.quote(str(path))}"
