"""Where the embedded server keeps its files, and the unix socket it listens on."""

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lake.errors import OnlineStoreError
from lake.settings import Settings

SOCKET_NAME = "quantlake.sock"
"""By this name a client knows that the password lies beside the socket."""
PASSWORD_NAME = "quantlake.password"  # noqa: S105 - the name of a file
LONGEST_SOCKET = 103
"""Bytes of a socket's path: 107 on Linux, 103 on macOS."""
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - only the parent of a folder whose owner and mode are checked
"""Where sockets of homes with long paths go; a fixed place, so that all users of a home find the same server."""
OWNER_ONLY = 0o700


@dataclass(frozen=True)
class ServerPaths:
    """Files of the embedded server of one home.

    Parameters
    ----------
    folder
        Of everything that outlives the server, mode 0700.
    socket
        Where it listens; in `folder`, unless the path would be too long.
    """

    folder: Path
    socket: Path

    @classmethod
    def of(cls, settings: Settings) -> "ServerPaths":
        """Say where they are; nothing is made, but `folder` where the socket lies elsewhere and the home exists."""
        near = settings.redis / SOCKET_NAME
        if len(os.fsencode(near)) <= LONGEST_SOCKET:
            return cls(settings.redis, near)
        return cls(settings.redis, short_folder() / _identity(settings.redis) / SOCKET_NAME)

    @property
    def password(self) -> Path:
        """The password, beside the socket; written anew at each start."""
        return self.socket.with_name(PASSWORD_NAME)

    @property
    def config(self) -> Path:
        """What the server reads at its start; it has the digest of the password, never the password."""
        return self.folder / "server.conf"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "redis.log"

    @property
    def pid(self) -> Path:
        """Process id; removed by the server as the last thing it does."""
        return self.folder / "redis.pid"

    @property
    def snapshot(self) -> Path:
        """What the next start reads back."""
        return self.folder / "snapshot.rdb"

    @property
    def damaged(self) -> Path:
        """Where a snapshot goes that cannot be read."""
        return self.folder / "snapshot.rdb.damaged"

    @property
    def restarts(self) -> Path:
        """How often it was started again after it had died."""
        return self.folder / "restarts"

    def make(self) -> None:
        """Make the folders, or refuse those that others may enter.

        Raises
        ------
        OnlineStoreError
            If another user owns one of them, or it is a link or a file.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=OWNER_ONLY)
        require_private(self.folder)
        if self.socket.parent != self.folder:
            for folder in (self.socket.parent.parent, self.socket.parent):
                folder.mkdir(exist_ok=True, mode=OWNER_ONLY)
                require_private(folder)


def short_folder() -> Path:
    """Private folder of this user for sockets of homes with long paths."""
    return SHORT_FOLDER / f"quantlake-{os.geteuid()}"


def require_private(folder: Path) -> None:
    """Refuse a folder that is not ours, and close one of ours that is open to others."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a link or a file"
        raise OnlineStoreError(
            f"{folder} is {kind} of user {found.st_uid}, expected a folder of user {os.geteuid()}; the online store's "
            "server does not listen there. Remove it, or set QUANTLAKE_HOME to a folder of yours with a path of at "
            "most 80 characters."
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(OWNER_ONLY)


def embedded_url(settings: Settings) -> str:
    """Address of the embedded server of these settings, running or not; it holds no secret."""
    return f"unix://{quote(str(ServerPaths.of(settings).socket))}?db=0"


def redis_url(settings: Settings) -> str:
    """Address of the online store: the external one, or that of the embedded server."""
    return settings.redis_url or embedded_url(settings)


def _identity(folder: Path) -> str:
    """Name by the folder itself and not by its path: a moved home keeps its server, a copy never has another's."""
    if folder.parent.is_dir():
        folder.mkdir(exist_ok=True, mode=OWNER_ONLY)
        found = folder.stat()
        identity = f"{found.st_dev}:{found.st_ino}"
    else:
        identity = str(folder)
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
