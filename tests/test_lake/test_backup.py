"""Backups of a small home: one point, stored once, whole or refused, whatever is killed, filled or altered."""

import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from lake.care import backup, pins_in_use
from lake.care.backup import manifest
from lake.care.backup.contents import LEFT_OUT
from lake.errors import BackupError, UnknownNameError
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS

MARKET = tiny_market(["AAPL", "IBM"], sessions=40, seed=5)
PRIVATE = 0o600

CREATE = """
import os, resource, signal, sys
from pathlib import Path
from lake.care import backup
from lake.care.backup import manifest
from lake.care.backup.blobs import Blobs
home, root, when, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
calls = 0
def killing(real):
    def call(*args, **more):
        global calls
        calls += 1
        if calls == when:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **more)
    return call
Path.replace, Path.mkdir, os.fsync = killing(Path.replace), killing(Path.mkdir), killing(os.fsync)
try:
    print(backup.create(home, root).id, calls)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def home(small_home: Path) -> Path:
    return small_home


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def facts(database: Path) -> list[int]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT number FROM facts ORDER BY number")]


def run(home: Path, root: Path, *, kill_at: int = 0, limit: int = 0) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", CREATE, str(home), str(root), str(kill_at), str(limit)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_restored_home_holds_what_the_home_held(home: Path, root: Path, tmp_path: Path) -> None:
    made = backup.create(home, root)
    shutil.copytree(home, tmp_path / "as it was")
    shutil.rmtree(home)
    new = backup.restore(root, made, tmp_path / "new")
    held, found = files(tmp_path / "as it was"), files(new)
    gone = {name.partition("/")[0] for name in held.keys() - found.keys()}
    assert gone - set(LEFT_OUT) == {"some.lock", "feast", "tables"}
    assert all(name.endswith(".lock") for name in held.keys() - found.keys() if name.startswith("tables/"))
    assert {name for name in found if found[name] != held[name]} <= {
        "forecast_log.sqlite", "mlflow/mlflow.db", "dagster/history/runs.db",
    }  # fmt: skip
    assert facts(new / "forecast_log.sqlite") == list(range(500))
    before, after = Lake(tmp_path / "as it was" / "tables"), Lake(new / "tables")
    assert made.tables == {"bars": after.version(BARS)}
    for version in range(1, 5):
        assert_frame_equal(before.read(BARS, version=version), after.read(BARS, version=version))
    assert pins_in_use(after)["bars"] == {2: {"model:1"}}
    after.merge(BARS, MARKET)


def test_a_folder_that_holds_more_than_backups_keeps_its_rights(home: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "of somebody else").touch()
    shared.chmod(0o755)
    backup.create(home, shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
    assert {stat.S_IMODE((shared / name).stat().st_mode) for name in ("store", "backups")} == {0o700}


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o775])
def test_no_backup_goes_where_others_may_put_folders(mode: int, home: Path, tmp_path: Path) -> None:
    """Whoever makes ``store`` first there would own the API keys of the backup."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "of somebody else").touch()
    shared.chmod(mode)
    with pytest.raises(BackupError, match=f"mode {mode:o}.*--to .*shared/quantlake"):
        backup.create(home, shared)
    assert stat.S_IMODE(shared.stat().st_mode) == mode
    assert not (shared / "store").exists()
    backup.create(home, shared / "quantlake")


@pytest.mark.parametrize("name", ["store", "backups"])
def test_no_backup_goes_through_a_link(name: str, home: Path, root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    root.mkdir()
    (root / name).symlink_to(elsewhere)
    with pytest.raises(BackupError, match=name):
        backup.create(home, root)
    assert not any(elsewhere.iterdir())


def test_modes_and_times_come_back_and_nobody_else_can_read_a_backup(home: Path, root: Path, tmp_path: Path) -> None:
    made = backup.create(home, root)
    new = backup.restore(root, made, tmp_path / "new")
    for file in made.files:
        was, now = (home / file.path).stat(), (new / file.path).stat()
        assert (was.st_mode, was.st_mtime_ns) == (now.st_mode, now.st_mtime_ns), file.path
    for path in [root, *root.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else PRIVATE) or path.name.endswith(".lock"), path
    assert stat.S_IMODE(new.stat().st_mode) == 0o700


def test_the_next_backup_stores_only_what_is_new(home: Path, root: Path) -> None:
    first = backup.create(home, root)
    stored = set(files(root / "store"))
    second = backup.create(home, root)
    assert (set(files(root / "store")), first.files) == (stored, second.files)
    assert second.id != first.id
    later = MARKET.head(5).with_columns(
        MARKET["close"].head(5) * 1.01, MARKET["known_time"].head(5) + timedelta(days=9)
    )
    assert Lake(home / "tables").merge(BARS, later).added == 5
    third = backup.create(home, root)
    new = sorted(file.path for file in third.files if file.digest not in first.contents)
    assert all(name.startswith("tables/bars/") for name in new)
    assert len(new) <= 3  # an entry of the log, and a data file for each year
    own = {one.backup.id: one.own_bytes for one in backup.listing(root)[0]}
    assert own[first.id] == own[second.id] == 0 < own[third.id] < third.size


def test_an_unchanged_data_file_is_read_again_only_when_everything_is(home: Path, root: Path) -> None:
    backup.create(home, root)
    victim = Path(Lake(home / "tables").files(BARS)[0])
    content, times = bytearray(victim.read_bytes()), victim.stat()
    content[100] ^= 1
    victim.write_bytes(content)
    os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    name = victim.relative_to(home).as_posix()

    def digest(made: manifest.Manifest) -> str:
        return next(file.digest for file in made.files if file.path == name)

    before = digest(backup.create(home, root))
    assert digest(backup.create(home, root, full=True)) != before


def test_a_full_backup_mends_a_content_that_a_disk_changed(home: Path, root: Path) -> None:
    made = backup.create(home, root)
    damage(root, made, "reports/drift-2012-12-31.html")
    backup.create(home, root)
    assert backup.verify(root, backup.read_all(root)[0])
    backup.create(home, root, full=True)
    assert backup.verify(root, backup.read_all(root)[0]) == []


def damage(root: Path, made: manifest.Manifest, name: str, what: str = "bit") -> Path:
    stored = backup.Blobs(root).path(next(file.digest for file in made.files if file.path == name))
    if what == "missing":
        stored.unlink()
    elif what == "cut":
        stored.write_bytes(stored.read_bytes()[:-1])
    else:
        stored.write_bytes(bytes([stored.read_bytes()[0] ^ 1]) + stored.read_bytes()[1:])
    return stored


@pytest.mark.parametrize(
    ("what", "message"), [("bit", "was altered"), ("missing", "is missing"), ("cut", "bytes, not")]
)
def test_a_damaged_content_is_named_and_nothing_is_restored(
    home: Path, root: Path, tmp_path: Path, what: str, message: str
) -> None:
    made = backup.create(home, root)
    stored = damage(root, made, "models/lstm/1/model.onnx", what)
    (fault,) = backup.verify(root, [made])
    assert fault.stored == stored
    assert fault.files == (f"{made.id}/models/lstm/1/model.onnx",)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BackupError, match=f"nothing was restored: .*{message}.*model.onnx"):
        backup.restore(root, made, tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


def altered(root: Path, made: manifest.Manifest, **change: Any) -> None:
    path = root / "backups" / f"{made.id}.json"
    content = json.loads(path.read_text())
    content["files"][0] |= change
    path.write_text(json.dumps(content))


def test_an_edited_manifest_is_refused_and_the_others_are_still_listed(home: Path, root: Path) -> None:
    first, second = backup.create(home, root), backup.create(home, root)
    altered(root, second, size=1)
    with pytest.raises(BackupError, match="is not what its seal says"):
        backup.read(root, second.id)
    listed, damaged = backup.listing(root)
    assert [one.backup.id for one in listed] == [first.id]
    assert second.id in damaged[0]
    newest = backup.newest(root)
    assert newest is not None
    assert newest.id == first.id
    with pytest.raises(BackupError, match="Nothing is deleted"):
        backup.prune(root, 1)


@pytest.mark.parametrize("path", ["../outside", "/etc/outside", "a/../../outside", ""])
def test_a_path_that_leaves_the_home_is_refused(home: Path, root: Path, path: str) -> None:
    made = backup.create(home, root)
    altered(root, made, path=path)
    with pytest.raises(BackupError, match="a path outside the home"):
        backup.read(root, made.id)


def test_a_path_that_leaves_the_home_is_refused_though_it_is_sealed(home: Path, root: Path) -> None:
    """Whoever writes the manifest makes its seal, too."""
    made = backup.create(home, root)
    files = (made.files[0].model_copy(update={"path": "../outside"}), *made.files[1:])
    manifest.write(root, made.model_copy(update={"files": files}).sealed())
    with pytest.raises(BackupError, match="a path outside the home"):
        backup.read(root, made.id)


@pytest.mark.parametrize("name", ["../backups/x", "nothing"])
def test_an_unknown_backup_is_said(home: Path, root: Path, name: str) -> None:
    backup.create(home, root)
    with pytest.raises(UnknownNameError, match="There is no backup"):
        backup.read(root, name)


def test_nothing_is_restored_over_something(home: Path, root: Path, tmp_path: Path) -> None:
    made = backup.create(home, root)
    before = files(home)
    with pytest.raises(BackupError, match="is not empty"):
        backup.restore(root, made, home)
    assert files(home) == before
    (tmp_path / "empty").mkdir()
    assert backup.restore(root, made, tmp_path / "empty") == tmp_path / "empty"
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BackupError, match="is not empty"):
        backup.restore(root, made, tmp_path / "link")


def test_home_and_backups_must_not_contain_each_other(home: Path) -> None:
    for root in (home, home / "backups", home.parent):
        with pytest.raises(BackupError, match="contain each other"):
            backup.create(home, root)
    with pytest.raises(BackupError, match="does not exist"):
        backup.create(home / "nothing", home.parent / "backups")


def test_a_damaged_table_is_not_backed_up(home: Path, root: Path) -> None:
    victim = Path(Lake(home / "tables").files(BARS)[0])
    victim.write_bytes(victim.read_bytes()[:-7])
    with pytest.raises(BackupError, match=r"Table 'bars' is damaged: its data file .* has .* bytes, not"):
        backup.create(home, root)
    victim.unlink()
    with pytest.raises(BackupError, match="is missing"):
        backup.create(home, root)
    assert backup.listing(root) == ([], [])


@pytest.mark.parametrize("step", [30, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3, 7, 15, 45, 55, 60))])
def test_a_killed_backup_lists_nothing_and_the_next_one_goes_on(home: Path, root: Path, step: int) -> None:
    """Killed before that call of those that change a file; a first backup of this home makes about sixty."""
    ended = run(home, root, kill_at=step)
    assert ended.returncode == -9 or step > 50
    found, damaged = backup.read_all(root)
    assert (backup.verify(root, found), damaged, len(found)) == ([], [], int(ended.returncode == 0))
    made = backup.create(home, root)
    found, damaged = backup.read_all(root)
    assert made in found
    assert (backup.verify(root, found), damaged) == ([], [])
    assert not list((root / "store").glob(".new-*"))


def test_a_full_disk_is_said_and_what_was_there_stays(home: Path, root: Path) -> None:
    before = backup.create(home, root)
    (home / "reports" / "large.html").write_bytes(os.urandom(300_000))
    output = run(home, root, limit=100_000).stdout
    assert output.startswith("BackupError The backup cannot be written")
    assert "run the backup again: it goes on from here" in output
    assert backup.verify(root, [before]) == []
    assert [one.id for one in backup.read_all(root)[0]] == [before.id]
    assert backup.create(home, root).id != before.id
    assert len(backup.read_all(root)[0]) == 2


def test_a_restore_that_was_cut_off_leaves_no_home_and_the_next_one_goes_on(
    home: Path, root: Path, tmp_path: Path
) -> None:
    made = backup.create(home, root)
    left = tmp_path / ".new.restoring"
    left.mkdir()
    (left / "half").write_text("of an earlier one")
    new = backup.restore(root, made, tmp_path / "new")
    assert not left.exists()
    assert not (new / "half").exists()


def test_older_backups_go_and_the_newest_of_each_home_stays_whole(home: Path, root: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(home, tmp_path / "other"))
    apart = backup.create(other, root)
    for day in range(3):
        (home / "clock.json").write_text(f'{{"day": {day}}}')
        newest = backup.create(home, root)
    stray = root / "store" / "ab" / ("ab" * 32)
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("of a backup that was killed")
    gone, freed = backup.prune(root, 1)
    assert len(gone) == 2
    assert freed > 0
    assert not stray.exists()
    assert [one.id for one in backup.read_all(root)[0]] == sorted([apart.id, newest.id])
    assert backup.verify(root, backup.read_all(root)[0]) == []
    assert backup.prune(root, 1) == ([], 0)
    with pytest.raises(BackupError, match="At least one backup"):
        backup.prune(root, 0)
