"""Private folder for unix sockets: closed to other users, and with a path short enough for a socket."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lake.disk import is_open_to_others, is_own_folder
from lake.errors import ConfigError

if TYPE_CHECKING:
    from lake.settings import Settings

LONGEST = 50
"""Characters of the folder's path: a socket's may have 103 on macOS and 107 on Linux, and Jupyter's names take 48."""


def socket_folder(settings: "Settings") -> Path:
    """Return the folder, made with mode 700: below the home where that is short enough, else in the temporary folder.

    Raises
    ------
    ConfigError
        If the folder in the temporary folder belongs to somebody else, or is open to others.
    """
    folder = settings.home / "run" / "s"
    if len(str(folder)) > LONGEST:
        digest = hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]
        folder = Path(tempfile.gettempdir()) / f"quantlake-{os.getuid()}-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.mkdir(exist_ok=True, mode=0o700)
    if not is_own_folder(folder) or is_open_to_others(folder):
        found = folder.lstat()
        raise ConfigError(
            f"{folder} is to hold sockets that nobody else can reach, and belongs to user {found.st_uid} with mode "
            f"{found.st_mode & 0o777:o}; expected user {os.getuid()} and mode 700. Remove it, or choose another TMPDIR."
        )
    return folder
