"""A small file that takes the place of another is on disk before it does, and so is its name afterwards."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.disk import write_durably


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """What was done to which inode: flushed, or put in the place of another file."""
    happened: list[tuple[str, int]] = []
    fsync, replace = os.fsync, Path.replace

    def flushing(descriptor: int) -> None:
        fsync(descriptor)
        happened.append(("flushed", os.fstat(descriptor).st_ino))

    def replacing(path: Path, target: Path) -> Path:
        happened.append(("in place", path.stat().st_ino))
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flushing)
        patch.setattr(Path, "replace", replacing)
        yield happened


@pytest.mark.parametrize("old", [None, "old"])
def test_it_is_flushed_then_put_in_place_then_the_folder_is_flushed(
    tmp_path: Path, done: list[tuple[str, int]], old: str | None
) -> None:
    path = tmp_path / "clock.json"
    if old is not None:
        path.write_text(old)
    write_durably(path, "new")
    file, folder = path.stat().st_ino, tmp_path.stat().st_ino
    assert done == [("flushed", file), ("in place", file), ("flushed", folder)]
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_refuses_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clock.json"
    path.write_text("old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            write_durably(path, "new")
    assert path.read_text() == "old"
    write_durably(path, "new")
    assert path.read_text() == "new"


def test_a_secret_is_its_owners_from_the_beginning(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_durably(path, "secret", mode=0o600)
    assert path.stat().st_mode & 0o777 == 0o600
