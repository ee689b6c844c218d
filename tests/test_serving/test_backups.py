"""A running platform, backed up, restored elsewhere, the old home gone: everything agrees, and nothing looks back."""

import ctypes
import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagster_project.assets.backups import backup_drill
from dagster_project.resources import Platform
from dagster_project.schedules import sunday_drill
from lake.care import backup as store
from lake.errors import BackupError, ConfigError
from lake.settings import Settings
from lake.settings import settings as read_settings
from serving import audit, backups
from serving.access import keys
from serving.deployment import serving_file
from serving.forecast_log import drain, log_paths
from serving.monitoring import metrics
from serving.monitoring.backup_state import read_backup_state, show_backup_state
from serving.replay import counts, replay
from support import receipts as at_home
from support.failures import PREDICT
from support.ports import free_port
from support.receipts import Home
from support.services import running_service

LIFE = Path(__file__).parent / "restored_life.py"
FORECASTS = 60
OPENED, READ, WRITTEN, MADE = 0x20, 0x1, 0x2, 0x100 | 0x80 | 0x40 | 0x200
"""What Linux tells about a file: opened, read, written, made, moved or removed."""
EVENT = struct.Struct("iIII")


@pytest.fixture(scope="module")
def lived(copy_home: Callable[..., Home], tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home in which forecasts were made, some of them in the lake and some only in the log."""
    mine = copy_home(tmp_path_factory.mktemp("lived") / "old home", redis_url=None, redis_port=free_port())
    at_home.assign(mine, (0.1, 0.2, 0.3, 0.4))
    at_home.serve(mine, FORECASTS // 2, seed=1)
    assert drain(mine.lake, mine.settings).added == FORECASTS // 2
    at_home.serve(mine, FORECASTS // 2, seed=2)
    return mine


@pytest.fixture
def old(lived: Home, tmp_path: Path) -> Home:
    return at_home.copied(lived.settings, tmp_path / "old home")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def test_a_restored_platform_is_whole_and_its_forecasts_replay(old: Home, root: Path, tmp_path: Path) -> None:
    _, text = keys.create(old.settings, "desk", "predict", "standard", by="test")
    made = backups.create(old.settings, root, who="test")
    shutil.rmtree(old.settings.home)
    new = backups.restore(old.settings, root, made, tmp_path / "new home", who="test")
    restored = Home.at(new)
    assert backups.faults(new, seed="a") == []
    asked = [one for one in replay(restored.lake, new) if one.kind == "served"]
    assert counts(asked) == {"equal": FORECASTS, "close": 0, "differs": 0, "unknown": 0}
    assert [key.name for key in keys.listing(new) if key.digest == keys.digest_of(text)] == ["desk"]
    assert audit.verify(restored.lake) == []
    assert audit.newest(restored.lake, 1)[0]["what"] == "backup.restore"
    assert drain(restored.lake, new).added == FORECASTS // 2
    assert drain(restored.lake, new).skipped
    assert not old.settings.home.exists()


def test_addresses_that_lead_out_of_the_home_are_a_fault(
    old: Home, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = backups.create(old.settings, root, who="test")
    for place in ("serving.backups.localize", "training.tracking.store.localize"):
        monkeypatch.setattr(place, lambda _: 0)
    new = backups.restore(old.settings, root, made, tmp_path / "new home", who="test")
    found = backups.faults(new, seed="a")
    assert found
    assert all("outside the home" in fault or "No such file" in fault or "is missing" in fault for fault in found)


def test_a_forecast_that_left_the_log_and_is_not_in_the_lake_is_a_fault(old: Home) -> None:
    (path, *_) = log_paths(old.settings)
    with closing(sqlite3.connect(path)) as log, log:
        log.execute("UPDATE forecasts SET is_in_lake = 1")
    (fault,) = backups.faults(old.settings, seed="a")
    assert fault.startswith(f"{FORECASTS // 2} forecasts left the log and are not in the lake")


def test_a_model_in_service_whose_file_was_exchanged_is_a_fault(old: Home) -> None:
    said = json.loads(serving_file(old.settings).read_text())
    said["champions"]["lstm"]["digest"] = "ab" * 32
    serving_file(old.settings).write_text(json.dumps(said))
    assert any(fault.startswith("model lstm 1: file ") for fault in backups.faults(old.settings, seed="a"))


def test_the_folder_is_asked_for_where_nothing_says_it(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="set QUANTLAKE_BACKUPS"):
        backups.folder_of(settings)
    said = settings.model_copy(update={"backups": tmp_path})
    assert backups.folder_of(said) == tmp_path
    assert backups.folder_of(said, tmp_path / "other") == tmp_path / "other"


def test_the_drill_proves_a_backup_and_says_when(old: Home, root: Path) -> None:
    configured = old.settings.model_copy(update={"backups": root})
    show_backup_state(configured)
    assert metrics.DRILLED._value.get() == 0
    report = backups.drill(configured)
    assert report.rows > 100
    assert not report.skipped
    assert [path.name for path in root.iterdir() if path.name.startswith(backups.SCRATCH)] == []
    (made,) = store.read_all(root)[0]
    state = read_backup_state(configured)
    assert state.backed_up_at == made.created_at
    assert state.drilled_at is not None
    assert state.drilled_at > made.created_at
    show_backup_state(configured)
    assert metrics.DRILLED._value.get() == state.drilled_at.timestamp()
    assert metrics.BACKED_UP._value.get() == made.created_at.timestamp()
    assert metrics.BACKUPS_CONFIGURED._value.get() == 1


def test_a_drill_that_finds_something_fails_and_leaves_the_old_date(old: Home, root: Path) -> None:
    configured = old.settings.model_copy(update={"backups": root})
    said = json.loads(serving_file(old.settings).read_text())
    said["champions"]["ridge"]["digest"] = "ab" * 32
    serving_file(old.settings).write_text(json.dumps(said))
    with pytest.raises(BackupError, match=r"things in it are not as they should be: model ridge"):
        backups.drill(configured)
    assert read_backup_state(configured).drilled_at is None
    assert not list(root.glob(f"{backups.SCRATCH}*"))


def test_without_a_folder_the_asset_says_that_nothing_could_be_done(settings: Settings, monkeypatch: Any) -> None:
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    read_settings.cache_clear()
    try:
        with dg.DagsterInstance.ephemeral() as instance:
            done = dg.materialize([backup_drill], resources={"platform": Platform()}, instance=instance)
        (event,) = done.get_asset_materialization_events()
        reason = event.materialization.metadata["reason"].value
        assert (
            reason == "nothing could be done, because QUANTLAKE_BACKUPS is not set, so it is not known where backups go"
        )
        assert event.materialization.metadata["skipped"].value is True
        assert isinstance(sunday_drill(dg.build_schedule_context(), platform=Platform()), dg.SkipReason)
        monkeypatch.setenv("QUANTLAKE_BACKUPS", str(settings.home / "elsewhere"))
        read_settings.cache_clear()
        assert isinstance(sunday_drill(dg.build_schedule_context(), platform=Platform()), dg.RunRequest)
    finally:
        read_settings.cache_clear()


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Note every file under a folder that any process opens, reads, writes, makes or removes while a block lasts."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    assert descriptor >= 0
    names: dict[int, Path] = {}
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        number = libc.inotify_add_watch(descriptor, os.fsencode(path), OPENED | READ | WRITTEN | MADE)
        assert number >= 0, f"{path} cannot be watched: errno {ctypes.get_errno()}"
        names[number] = path
    seen: list[str] = []
    try:
        yield seen
        content = b""
        while True:
            try:
                content += os.read(descriptor, 1 << 20)
            except BlockingIOError:
                break
        while content:
            number, _, _, length = EVENT.unpack_from(content)
            name = content[EVENT.size : EVENT.size + length].rstrip(b"\0")
            seen.append(str(names[number] / os.fsdecode(name)))
            content = content[EVENT.size + length :]
    finally:
        os.close(descriptor)


@pytest.fixture
def live(variant: Callable[..., Any], tmp_path: Path) -> Callable[..., tuple[dict[str, Any], str]]:
    """Live in a restored home in another process, in an empty folder; gives what it said, and its errors."""

    def lived_in(new: Settings, key: str, *more: str) -> tuple[dict[str, Any], str]:
        (tmp_path / "cwd").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
            "QUANTLAKE_HOME": str(new.home),
        }
        command = [sys.executable, str(LIFE), str(new.home), key, str(variant("lstm", 3).folder), *more]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path / "cwd", capture_output=True, text=True, check=False
        )
        assert list((tmp_path / "cwd").iterdir()) == [], "something is written to wherever the process runs"
        return (json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}), done.stderr

    return lived_in


def poison(home: Path) -> None:
    """Bring the old home back as a trap: each file is there, and none is what it was."""
    for path in [path for path in home.rglob("*") if path.is_file()]:
        path.write_bytes(b"nobody reads this")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the file system is watched with Linux's inotify")
def test_under_load_to_another_place_with_the_old_home_a_trap(
    copy_home: Callable[..., Home], root: Path, tmp_path: Path, live: Any, load: Any
) -> None:
    old = copy_home(tmp_path / "old home", redis_url=None, redis_port=free_port(), workers=2)
    at_home.assign(old, (0.1, 0.2, 0.3, 0.4))
    _, text = keys.create(old.settings, "desk", "predict", "unlimited", by="test")
    at_home.serve(old, 100, seed=1)
    drain(old.lake, old.settings)
    with at_home.running_redis(old.settings), running_service(old.settings) as service:
        at_home.materialize(old.lake, old.settings, old.clock.now())
        with load(service, text) as answered:
            before = answered(100)
            made = backups.create(old.settings, root, who="test")
            answered(before + 50)
    new = backups.restore(old.settings, root, made, tmp_path / "new home", who="test")
    poison(old.settings.home)
    with watched(old.settings.home) as seen:
        said, errors = live(new, text)
    assert said, errors
    assert seen == []
    assert said["faults"] == said["faults after"] == said["audit"] == []
    assert said["replayed"]["equal"] >= 200
    assert sum(said["replayed"].values()) == said["replayed"]["equal"]
    assert said["role"] == "predict"
    assert said["registered"] == "2"
    assert said["drained"] >= before
    assert said["added"]["bars"] > 0
    assert said["added"]["forecasts"] > 0
    assert said["added"]["online_store"] > 0


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the file system is watched with Linux's inotify")
def test_with_mlflows_addresses_left_as_they_were_the_trap_closes(
    old: Home, root: Path, tmp_path: Path, live: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = keys.create(old.settings, "desk", "predict", "standard", by="test")
    monkeypatch.setattr("training.tracking.store.localize", backups.localize)
    backups.localize(old.settings)
    made = backups.create(old.settings, root, who="test")
    monkeypatch.setattr("serving.backups.localize", lambda _: 0)
    new = backups.restore(old.settings, root, made, tmp_path / "new home", who="test")
    poison(old.settings.home)
    with watched(old.settings.home) as seen:
        live(new, text, "as-it-was")
    assert any("mlflow/artifacts" in path for path in seen)


@pytest.fixture
def load() -> Callable[..., Any]:
    """Ask a service over and over; gives a function that waits until it has answered so often, and says how often."""
    import threading

    import httpx

    @contextmanager
    def asking(service: Any, key: str) -> Iterator[Callable[[int], int]]:
        over, done, count = threading.Event(), threading.Condition(), [0]

        def ask() -> None:
            with httpx.Client(base_url=service.address, headers={"authorization": f"Bearer {key}"}) as client:
                while not over.is_set():
                    answer = client.post(PREDICT, json={"symbol": "AAPL", "horizon_sessions": 1}, timeout=120)
                    assert answer.status_code == httpx.codes.OK, answer.text
                    with done:
                        count[0] += 1
                        done.notify_all()

        threads = [threading.Thread(target=ask) for _ in range(2)]
        for thread in threads:
            thread.start()

        def answered(at_least: int) -> int:
            with done:
                assert done.wait_for(lambda: count[0] >= at_least, timeout=120)
                return count[0]

        yield answered
        over.set()
        for thread in threads:
            thread.join()

    return asking
