"""The online store's files: the snapshot of the embedded Redis, and what the last materialisation wrote down."""

import functools
from pathlib import Path

from dagster_project.health.finding import Finding, set_aside
from lake.settings import Settings

MAGICS = (b"REDIS", b"VALKEY")
END = b"\xff"
CHECKSUM_BYTES = 8
SUMMED_AT_ONCE = 4 << 20
"""Up to this size the checksum is computed without ``--deep``: about a second."""
POLYNOMIAL = 0x95AC9329AC4BC9B5
"""CRC-64 of Jones, bits reversed, as Redis and Valkey write it behind a snapshot."""


def redis_snapshot(configured: Settings, *, is_deep: bool = False) -> list[Finding]:
    """Look at the snapshot that the embedded Redis reads when it starts."""
    path = configured.redis / "snapshot.rdb"
    fault = _fault_of_snapshot(path, is_deep=is_deep) if path.exists() else None
    if fault is None:
        return []
    meaning = f"{fault}. The embedded Redis will not start with it; the next materialisation fills an empty one"
    return [Finding("damaged Redis snapshot", path, meaning, set_aside(path))]


def generation(configured: Settings) -> list[Finding]:
    """Look at the note of what the online store holds."""
    from feature_repo.snapshot import generation_path, recall

    path = generation_path(configured)
    try:
        recall(configured)
    except Exception as error:  # noqa: BLE001 - whatever garbage makes the parser raise, the file is damaged
        meaning = f"it cannot be read ({type(error).__name__}); the service answers from the newest tables instead"
        return [Finding("damaged note of the online store", path, meaning, set_aside(path))]
    return []


def _fault_of_snapshot(path: Path, *, is_deep: bool) -> str | None:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(9)
        if not any(head.startswith(magic) and head[len(magic) :].isdigit() for magic in MAGICS):
            return "it does not begin as a Redis snapshot does"
        file.seek(max(0, size - CHECKSUM_BYTES - 1))
        tail = file.read()
        expected = int.from_bytes(tail[1:], "little")
        if tail[:1] != END:
            return "it ends before its end mark: it is torn"
        if not expected or (size > SUMMED_AT_ONCE and not is_deep):  # a server may be told to write no checksum
            return None
        file.seek(0)
        found = checksum(file.read(size - CHECKSUM_BYTES))
    return None if found == expected else "its checksum is not that of its bytes"


@functools.cache
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ (POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


def checksum(content: bytes) -> int:
    """CRC-64 of Jones over the bytes of a snapshot."""
    value, table = 0, _table()
    for byte in content:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value
