"""A home is its owner's alone: new files and folders are closed to others, and a home that is open is closed."""

import os
from pathlib import Path

OTHERS = 0o077
"""Every right of the group and of everybody else."""
OURS = (
    "access", "bentoml", "clock.json", "dagster", "feast", "figures.json", "forecast_log", "logs", "mlflow", "models",
    "online.json", "redis", "reports", "scheduled", "tables", "training", "watcher",
)  # fmt: skip
"""What names in a home begin with that this platform makes; anything else in the folder keeps its rights."""


def close_new_files() -> None:
    """Let every file and folder that this process and its children make be closed to others from now on."""
    os.umask(OTHERS)


def close_home(home: Path) -> str:
    """Take a home that others may enter from them: the folder, and everything in it that this platform made.

    A home of another user, or none, is left alone. Symbolic links are not followed.

    Returns
    -------
    str
        One sentence about what was done; empty where nothing was.
    """
    try:
        found = home.stat()
    except OSError:
        return ""
    mine = os.geteuid()
    if found.st_uid != mine or not found.st_mode & OTHERS:
        return ""
    home.chmod(found.st_mode & 0o777 & ~OTHERS)
    tops = [top for top in home.iterdir() if top.name.startswith(OURS) and not top.is_symlink()]
    closed = sum(_close(path, mine) for top in tops for path in _all(top))
    return (
        f"{home} was open to other users of this machine (mode {found.st_mode & 0o777:o}). It is closed now, and so "
        f"are {closed:,} files and folders in it."
    )


def _all(top: Path) -> "list[Path]":
    found = [top]
    for folder, folders, files in os.walk(top):
        found += [Path(folder, name) for name in (*folders, *files)]
    return found


def _close(path: Path, mine: int) -> bool:
    """Close one file or folder; whether it was open. One that went away meanwhile is none."""
    try:
        found = path.lstat()
        if path.is_symlink() or found.st_uid != mine or not found.st_mode & OTHERS:
            return False
        path.chmod(found.st_mode & 0o777 & ~OTHERS)
    except OSError:
        return False
    return True
