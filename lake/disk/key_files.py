"""Files that hold a secret: made whole and for their owner alone, read only where nobody else can read them."""

import os
import secrets
import stat
from pathlib import Path

from lake.disk.durable import flush
from lake.disk.private import OTHERS, OWNER_ONLY
from lake.errors import ConfigError, QuantlakeError

ROOT = 0


def create_key_file(path: Path, text: str) -> bool:
    """Create a key file, whole from its first moment; one that exists stays as it is.

    Of several processes that do so at once one wins, and the others find its file.

    Parameters
    ----------
    path
        In a folder that is made where it does not exist.
    text
        The secret, with or without an end of line.

    Returns
    -------
    bool
        Whether this call made the file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "service.key"
    >>> create_key_file(path, "first"), create_key_file(path, "second")
    (True, False)
    >>> read_key_file(path)
    b'first'
    >>> oct(path.stat().st_mode & 0o777)
    '0o600'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(fresh, path)
    except FileExistsError:
        return False
    finally:
        fresh.unlink()
        flush(path.parent)
    return True


def read_key_file(path: Path, *, remedy: str = "", error: type[QuantlakeError] = ConfigError) -> bytes:
    """Read a key file that belongs to this user and that nobody else may read.

    Parameters
    ----------
    remedy
        What to do about a file that is open to others, in sentences; by default to close it.
    error
        Class of the error.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    QuantlakeError
        Of the class `error`, naming the file, its owner or mode, and the remedy.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        content = file.read()
    mode = stat.S_IMODE(status.st_mode)
    if mode & OTHERS:
        remedy = remedy or f"Run `chmod 600 {path}`, or delete it if somebody else may have read it."
        raise error(f"{path} holds a secret and is open to others (mode {mode:03o}, expected 600). {remedy}")
    if os.geteuid() not in {status.st_uid, ROOT} and status.st_uid != ROOT:
        raise error(
            f"{path} holds a secret and belongs to user {status.st_uid}, expected user {os.geteuid()}. Delete it, or "
            f"run `chown {os.geteuid()} {path}` if it is yours."
        )
    return content
