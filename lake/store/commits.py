"""The ledger of a table: which commits are on disk, and the digest of each file of the log.

A Delta log cannot show that its newest entry is gone, nor that a bit of an entry changed. So the writer records each
commit, after it was flushed, in ``.commits`` in the table's folder: one line a file, appended and flushed. A writer
killed in between leaves a ledger that lags; the next writer catches up. It never leads: what it names was on disk.
A table without a ledger is one written before there was one, and is read as it is.
"""

import os
from pathlib import Path
from typing import NamedTuple

from lake.disk import flush, write_durably
from lake.errors import DamagedTableError
from lake.store import delta_log
from lake.store.digests import digest_of, digest_of_file

FILE = ".commits"
TAIL_BYTES = 1 << 16
"""Read of the ledger's end when a table is opened: some 650 files of the log, more than follow any checkpoint."""
SHORT_TAIL_BYTES = 1 << 12
"""Read of it at each commit: some forty files of the log."""
FEW_VERSIONS = 16
CHECK_DIGITS = 8


class CommitLedger(NamedTuple):
    """Digests by the name of the file in the log, and the lines that cannot be read."""

    digests: dict[str, str]
    damaged_lines: int

    @property
    def newest(self) -> int:
        """Newest version that is known to be committed; -1 where none is."""
        return max((_version(name) for name in self.digests if name.endswith(".json")), default=-1)


def read(folder: Path, *, tail_bytes: int | None = None) -> CommitLedger:
    """Read the ledger of a table, or only its end; of two lines for one file the later counts."""
    try:
        with (folder / FILE).open("rb") as content:
            size = content.seek(0, os.SEEK_END)
            start = 0 if tail_bytes is None else max(0, size - tail_bytes)
            content.seek(start)
            lines = content.read().split(b"\n")
    except FileNotFoundError:
        return CommitLedger({}, 0)
    if start:
        del lines[0]
    # An append that was cut off leaves a last line without its end: no damage, only a ledger that lags.
    whole, read_lines = lines[:-1], [_parsed(line) for line in lines]
    found = dict(line for line in read_lines if line is not None)
    return CommitLedger(found, sum(line != b"" and _parsed(line) is None and not _is_stump(line) for line in whole))


def record(folder: Path, version: int) -> None:
    """Record a commit that is on disk, and those before it that a killed writer did not; the caller holds the lock."""
    known = read(folder, tail_bytes=SHORT_TAIL_BYTES)
    first = version if known.newest < 0 else min(known.newest + 1, version)
    lines = []
    for number in range(first, version + 1):
        for file in _log_files(folder, number):
            digest = digest_of_file(file)
            if known.digests.get(file.name) != digest:
                lines.append(_line(file.name, digest))
    if not lines:
        return
    path = folder / FILE
    is_new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        size = os.fstat(descriptor).st_size
        is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, (b"~\n" if is_cut else b"") + "".join(lines).encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        flush(folder)


def rewrite(folder: Path, first: int) -> None:
    """Keep the lines about the files of the log from a version on, and add missing ones; the caller holds the lock."""
    known = read(folder).digests
    files = sorted(file for file in (folder / "_delta_log").iterdir() if file.name[:20].isdigit())
    kept = [
        _line(file.name, known.get(file.name) or digest_of_file(file)) for file in files if _version(file.name) >= first
    ]
    write_durably(folder / FILE, "".join(kept))


def require_complete(folder: Path, since: int | None, version: int) -> None:
    """Refuse a log that ends before the newest known commit, or whose files changed since they were written.

    Parameters
    ----------
    since
        Newest version that was compared before; None compares all files that opening the table reads.
    version
        Newest version that the log has.

    Raises
    ------
    DamagedTableError
        Naming the table, the file, what was expected and the command that repairs it.
    """
    is_near = since is not None and version - since <= FEW_VERSIONS
    known, name = read(folder, tail_bytes=SHORT_TAIL_BYTES if is_near else TAIL_BYTES), folder.name
    if known.newest > version and not delta_log.entry(folder, known.newest).exists():
        raise DamagedTableError(
            f"Table '{name}' is damaged: entry {delta_log.entry(folder, known.newest)} of its log is missing; version "
            f"{known.newest} was committed, and the log ends with version {version}. Rows may be missing. "
            f"`quantlake lake repair {name}` goes back to the last good version, and says what is lost."
        )
    if not known.digests:
        return
    first = max((v for v in delta_log.checkpoints(folder) if v <= version), default=0) if since is None else since + 1
    for file in altered(folder, known, range(first, version + 1)):
        raise DamagedTableError(
            f"Table '{name}' is damaged: the bytes of {file} changed since they were written. "
            f"`quantlake lake repair {name}` goes back to the last good version, and says what is lost."
        )


def altered(folder: Path, known: CommitLedger, versions: range | None = None) -> list[Path]:
    """Return the files of the log whose bytes differ from the ledger, by default of every version it knows."""
    names = [name for name in known.digests if versions is None or _version(name) in versions]
    files = [folder / "_delta_log" / name for name in names]
    return [file for file in files if file.exists() and digest_of_file(file) != known.digests[file.name]]


def _log_files(folder: Path, version: int) -> list[Path]:
    return [file for file in delta_log.entries_of(folder, version) if file.name[:20].isdigit()]


def _line(name: str, digest: str) -> str:
    return f"{name} {digest} {_check(name, digest)}\n"


def _check(name: str, digest: str) -> str:
    return digest_of(f"{name} {digest}".encode())[:CHECK_DIGITS]


def _parsed(line: bytes) -> tuple[str, str] | None:
    name, _, rest = line.decode("utf-8", errors="replace").partition(" ")
    digest, _, check = rest.partition(" ")
    return (name, digest) if name[:20].isdigit() and check == _check(name, digest) else None


def _is_stump(line: bytes) -> bool:
    """Whether a line is what an append that was cut off left, ended by the next one."""
    return line.endswith(b"~")


def _version(name: str) -> int:
    return int(name[:20])
