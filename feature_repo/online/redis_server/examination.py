"""Whether the files of the online store are whole and private, for `quantlake doctor`."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from feature_repo.online.redis_server.binary import server_binary
from feature_repo.online.redis_server.paths import ServerPaths
from feature_repo.online.redis_server.snapshot_file import what_is_wrong
from feature_repo.online.seals import OnlineKey, key_path
from lake.errors import OnlineStoreError
from lake.settings import Settings


class ServerFinding(NamedTuple):
    """One thing that is wrong.

    Parameters
    ----------
    path
        File or folder.
    what
        What is wrong with it.
    remedy
        What to do about it.
    """

    path: Path
    what: str
    remedy: str


def examine(settings: Settings) -> list[ServerFinding]:
    """Look at the files of the embedded server and at the key of the seals; nothing is started, made or changed.

    Returns
    -------
    list of ServerFinding
        Empty where everything is whole and nobody else may read it.
    """
    places = ServerPaths.of(settings)
    looked = [*_key(settings), *_privacy(places)]
    if settings.redis_url is None:
        looked += [*_snapshot(places), *_set_aside(places)]
    return looked


def _key(settings: Settings) -> Iterator[ServerFinding]:
    path = key_path(settings)
    if path.exists():
        try:
            OnlineKey.read(path)
        except OnlineStoreError as error:
            yield ServerFinding(path, str(error), f"delete it and run `{settings.declared_market.command('update')}`")


def _privacy(places: ServerPaths) -> Iterator[ServerFinding]:
    for path, expected in {
        places.folder: 0o700,
        places.socket.parent: 0o700,
        places.password: 0o600,
        places.config: 0o600,
        places.snapshot: 0o600,
        places.log: 0o600,
    }.items():
        try:
            found = path.lstat()
        except OSError:
            continue
        if found.st_uid != os.geteuid():
            yield ServerFinding(path, f"it belongs to user {found.st_uid}", f"remove it, or chown it to {os.geteuid()}")
        elif mode := stat.S_IMODE(found.st_mode) & 0o077:
            yield ServerFinding(path, f"others may use it (mode has {mode:03o})", f"chmod {expected:o} {path}")


def _snapshot(places: ServerPaths) -> Iterator[ServerFinding]:
    if not places.snapshot.exists():
        return
    try:
        problem = what_is_wrong(places.snapshot, server_binary())
    except OnlineStoreError as error:
        yield ServerFinding(places.snapshot, f"it cannot be checked: {error}", "install a server, or set REDIS_URL")
        return
    if problem:
        remedy = "nothing needs to be done: the next start moves it aside and fills the store from the tables"
        yield ServerFinding(places.snapshot, problem, remedy)


def _set_aside(places: ServerPaths) -> Iterator[ServerFinding]:
    if places.damaged.exists():
        what = "a damaged snapshot was found at a start and moved here"
        yield ServerFinding(places.damaged, what, f"the store was filled from the tables: rm {places.damaged}")
