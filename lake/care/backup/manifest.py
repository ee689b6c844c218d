"""The manifest of a backup, file by file: written last and as a whole, so a listed backup is complete."""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from lake.care.backup.blobs import MANIFESTS as FOLDER
from lake.disk import write_private
from lake.errors import BackupError, UnknownNameError

FORMAT = 1
SHA256 = r"^[0-9a-f]{64}$"


class _ManifestPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_ManifestPart):
    """One file of the home.

    Parameters
    ----------
    path
        Within the home, with slashes.
    size
        Bytes.
    mode
        Permission bits.
    mtime_ns
        When it was last changed, nanoseconds since 1970; the age of a table version is that of its log entry's file.
    digest
        SHA-256 of its content.
    """

    path: str
    size: int = Field(ge=0)
    mode: int = Field(ge=0, le=0o777)
    mtime_ns: int
    digest: str = Field(pattern=SHA256)

    @field_validator("path")
    @classmethod
    def _within(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or PurePosixPath(path).is_absolute() or ".." in parts:
            raise ValueError("a path outside the home")
        return path


class Manifest(_ManifestPart):
    """Everything about one backup.

    Parameters
    ----------
    id
        Its name: when it was made.
    home
        Folder that was backed up.
    tables
        Newest version of each table in it.
    point_seconds
        How long the writers waited for the consistent point.
    seal
        SHA-256 of all the rest.
    """

    format: int = FORMAT
    id: str
    created_at: datetime
    home: str
    tables: dict[str, int]
    point_seconds: float
    files: tuple[File, ...]
    seal: str = ""

    @property
    def size(self) -> int:
        """Bytes that the restored home takes."""
        return sum(file.size for file in self.files)

    @property
    def contents(self) -> dict[str, int]:
        """Size in bytes of each different content, by digest."""
        return {file.digest: file.size for file in self.files}

    def sealed(self) -> Self:
        """Return a copy with its seal."""
        return self.model_copy(update={"seal": self._digest()})

    def is_sealed(self) -> bool:
        """Whether the manifest is unchanged since it was written."""
        return self.seal == self._digest()

    def _digest(self) -> str:
        content = self.model_dump(mode="json", exclude={"seal"})
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def new_id(root: Path, now: datetime) -> str:
    """Return a name that no backup in the folder has."""
    name = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    taken = {path.stem for path in (root / FOLDER).glob("*.json")}
    candidates = (name if number == 1 else f"{name}-{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in candidates if candidate not in taken)


def write(root: Path, manifest: Manifest) -> None:
    """Write the manifest of a backup, after everything that it names is on disk."""
    (root / FOLDER).mkdir(exist_ok=True, mode=0o700)
    write_private(_file(root, manifest.id), manifest.model_dump_json())


def remove(root: Path, backup_id: str) -> None:
    """Delete the manifest of a backup."""
    _file(root, backup_id).unlink()


def ids(root: Path) -> list[str]:
    """Return the names of the backups in a folder, the oldest first, readable or not."""
    return sorted(path.stem for path in (root / FOLDER).glob("*.json"))


def read(root: Path, backup_id: str) -> Manifest:
    """Read the manifest of a backup.

    Raises
    ------
    UnknownNameError
        If there is no such backup.
    BackupError
        If its manifest is damaged.
    """
    path = _file(root, backup_id)
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UnknownNameError("backup", backup_id, ids(root)) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise BackupError(f"{path} is damaged: {where}: {first['msg']}. {_OTHERS}") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{path} has format {manifest.format}, and this release reads {FORMAT}. Use a newer one.")
    if not manifest.is_sealed() or manifest.id != backup_id:
        raise BackupError(f"{path} is damaged: it is not what its seal says was written. {_OTHERS}")
    return manifest


def read_all(root: Path) -> tuple[list[Manifest], list[str]]:
    """Return every readable backup of a folder, the oldest first, and an error message for each of the others."""
    found: list[Manifest] = []
    damaged: list[str] = []
    for backup_id in ids(root):
        try:
            found.append(read(root, backup_id))
        except BackupError as error:
            damaged.append(str(error))
    return found, damaged


def newest(root: Path, home: Path | None = None) -> Manifest | None:
    """Return the newest backup that can be read, of one home where it is given."""
    found, _ = read_all(root)
    return next((backup for backup in reversed(found) if home is None or backup.home == str(home)), None)


def _file(root: Path, backup_id: str) -> Path:
    if PurePosixPath(backup_id).name != backup_id:
        raise UnknownNameError("backup", backup_id, ids(root))
    return root / FOLDER / f"{backup_id}.json"


_OTHERS = "Take another backup: `quantlake backup list` shows them."
