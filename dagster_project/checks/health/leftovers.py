"""Check for leftovers of a killed process: half-written small files that nothing reads."""

import os
import re
import shlex
from pathlib import Path

from dagster_project.checks.health.finding import HealthFinding
from lake.settings import Settings

HALF_WRITTEN = re.compile(r"^\..+\.(\d+)\.new$")
"""As `lake.disk.durable.write_durably` and the placing of models name what is not yet in place."""


def leftovers(configured: Settings) -> list[HealthFinding]:
    """Name files that a process which no longer lives was writing; the lock files themselves hold nothing back."""
    return [
        HealthFinding(
            "left by a killed process",
            path,
            "a file it had not finished; nothing reads it",
            f"rm -r {shlex.quote(str(path))}",
            is_damage=False,
        )
        for path in sorted(_candidates(configured))
        if not _lives(int(HALF_WRITTEN.fullmatch(path.name)[1]))  # type: ignore[index]  # every candidate matches
    ]


def _candidates(configured: Settings) -> list[Path]:
    found = []
    for folder, folders, names in os.walk(configured.home):
        found += [Path(folder) / name for name in [*folders, *names] if HALF_WRITTEN.fullmatch(name)]
        folders[:] = [name for name in folders if not name.startswith(("year=", "_delta_log"))]
    return found


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
