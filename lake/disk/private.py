"""Files and folders that only their owner may open: new ones are made so, and a home that is open is closed."""

import os
import stat
from pathlib import Path

from lake.disk.durable import write_durably

OWNER_ONLY = 0o600
"""Mode of a file that its owner alone may read and write."""
OTHERS = 0o077
"""Every right of the group and of everybody else."""
HOME_PREFIXES = (
    "access", "alerts", "bentoml", "clock.json", "dagster", "explanations", "feast", "figures.json",
    "forecast_log", "logs", "mlflow", "models", "online.json", "redis", "reports", "risk", "scheduled", "sources",
    "switch", "tables", "training", "watcher",
)  # fmt: skip
"""How the names begin that this platform makes in a home; anything else in the folder keeps its rights."""


def write_private(path: Path, text: str) -> None:
    """Replace a small file durably, as `write_durably` does, with mode 600."""
    write_durably(path, text, mode=OWNER_ONLY)


def is_open_to_others(path: Path) -> bool:
    """Whether the group or everybody has any right to a file or folder; of a link, to the link itself."""
    return bool(path.lstat().st_mode & OTHERS)


def is_own_folder(path: Path) -> bool:
    """Whether a path is a folder of this user, and no symbolic link to one."""
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def close_new_files() -> None:
    """Let every file and folder that this process and its children make be closed to others from now on."""
    os.umask(OTHERS)


def close_home(home: Path) -> str:
    """Close a home that other users may enter: the folder, and everything in it that this platform made.

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
    user = os.geteuid()
    if found.st_uid != user or not found.st_mode & OTHERS:
        return ""
    home.chmod(found.st_mode & 0o777 & ~OTHERS)
    tops = [top for top in home.iterdir() if top.name.startswith(HOME_PREFIXES) and not top.is_symlink()]
    closed = sum(_close(path, user) for top in tops for path in _all(top))
    return (
        f"{home} was open to other users of this machine (mode {found.st_mode & 0o777:o}). It is closed now, and so "
        f"are {closed:,} files and folders in it."
    )


def _all(top: Path) -> list[Path]:
    found = [top]
    for folder, folders, files in os.walk(top):
        found += [Path(folder, name) for name in (*folders, *files)]
    return found


def _close(path: Path, user: int) -> bool:
    """Close one file or folder; return whether it was open. One that went away meanwhile counts as closed."""
    try:
        found = path.lstat()
        if path.is_symlink() or found.st_uid != user or not found.st_mode & OTHERS:
            return False
        path.chmod(found.st_mode & 0o777 & ~OTHERS)
    except OSError:
        return False
    return True
