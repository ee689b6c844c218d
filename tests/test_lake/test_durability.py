"""What the store has said is stored is on disk, whatever kills the process."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from deltalake import DeltaTable

from lake.disk import flush
from lake.sources import as_received, tiny_market
from lake.store import Lake, delta, files, snapshots
from lake.tables import BARS, RAW_BARS

BATCHES, SESSIONS = 8, 40
WRITER = """
import sys
from pathlib import Path
from lake.store import Lake
from lake.tables import BARS, RAW_BARS
from lake.sources import as_received, tiny_market

root, batches, sessions, offset = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
lake = Lake(root)
for number in range(batches):
    bars = tiny_market([f"W{offset + number}"], sessions, seed=number)
    lake.append(RAW_BARS, as_received(bars, batch_id=f"b{offset + number}"), batch_id=f"b{offset + number}")
    lake.merge(BARS, bars)
    print(number, flush=True)
"""


def start_writer(lake: Lake, *, batches: int = BATCHES, offset: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(lake.root), str(batches), str(SESSIONS), str(offset)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def stored(lake: Lake) -> dict[str, dict[str, int]]:
    """Rows per symbol of both tables."""
    return {
        spec.name: dict(lake.read(spec).group_by("symbol").len().iter_rows())
        for spec in (RAW_BARS, BARS)
        if lake.exists(spec)
    }


def test_killed_at_any_point_nothing_is_lost_and_nothing_doubled(lake: Lake) -> None:
    chance = random.Random(20121231)
    newest = -1
    for _ in range(2):
        with start_writer(lake) as writer:
            assert writer.stdout is not None
            for _ in range(chance.randint(1, 3)):
                newest = max(newest, int(writer.stdout.readline() or newest))
            try:  # somewhere within the next batch
                writer.wait(timeout=chance.uniform(0, 0.06))
            except subprocess.TimeoutExpired:
                writer.kill()
        promised = {f"W{number}": SESSIONS for number in range(newest + 1)}
        for rows in stored(lake).values():
            assert promised.items() <= rows.items()
            assert set(rows.values()) == {SESSIONS}
    with start_writer(lake) as writer:
        assert writer.wait(timeout=120) == 0
    expected = {f"W{number}": SESSIONS for number in range(BATCHES)}
    assert stored(lake) == {RAW_BARS.name: expected, BARS.name: expected}


def test_several_writers_at_once_lose_nothing(lake: Lake) -> None:
    writers = [start_writer(lake, batches=4, offset=100 * number) for number in range(2)]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()
    expected = {f"W{100 * writer + number}": SESSIONS for writer in range(2) for number in range(4)}
    assert stored(lake) == {RAW_BARS.name: expected, BARS.name: expected}


@contextmanager
def recorded_flushes(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[tuple[int, int]]]:
    """Collect the identity (device, inode) of everything that is flushed to disk."""
    flushed: set[tuple[int, int]] = set()
    flush = os.fsync

    def record(descriptor: int) -> None:
        flush(descriptor)
        status = os.fstat(descriptor)
        flushed.add((status.st_dev, status.st_ino))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", record)
        yield flushed


def unflushed(lake: Lake, flushed: set[tuple[int, int]]) -> set[str]:
    """Name each file and folder of the tables that was not flushed."""
    paths = [lake.root, *(path for path in lake.root.rglob("*") if path.suffix != ".lock")]
    return {
        str(path.relative_to(lake.root)) for path in paths if (path.stat().st_dev, path.stat().st_ino) not in flushed
    }


def write(lake: Lake) -> None:
    bars = tiny_market(["AAA"], sessions=300, seed=1)
    lake.append(RAW_BARS, as_received(bars), batch_id="b1")
    lake.merge(BARS, bars)


def test_every_file_and_folder_is_on_disk_before_success_is_said(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorded_flushes(monkeypatch) as flushed:
        write(lake)
    assert unflushed(lake, flushed) == set()


def test_a_store_that_does_not_flush_is_caught(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lake, "_make_durable", lambda *_, **__: None)
    with recorded_flushes(monkeypatch) as flushed:
        write(lake)
    assert unflushed(lake, flushed) != set()


def test_a_disk_that_refuses_is_an_error_and_the_next_writer_flushes_what_is_left(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = tiny_market(["AAA"], sessions=5, seed=1)
    lake.merge(BARS, BARS.empty())

    def refuse(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(delta, "flush", refuse)
        with pytest.raises(OSError, match="No space left"):
            lake.append(BARS, bars, batch_id="b1")
    with recorded_flushes(monkeypatch) as flushed:
        assert lake.append(BARS, bars, batch_id="b1").skipped
    newest = {Path(file) for file in lake.files(BARS)}
    assert {(path.stat().st_dev, path.stat().st_ino) for path in newest} <= flushed
    assert lake.read(BARS).height == 5


def test_a_checkpoint_is_flushed_too(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = tiny_market(["AAA"], sessions=12, seed=1)
    with recorded_flushes(monkeypatch) as flushed:
        lake.merge(BARS, BARS.empty())
        DeltaTable(str(lake.path(BARS))).alter.set_table_properties({"delta.checkpointInterval": "5"})
        for day in range(12):
            lake.append(BARS, bars[day : day + 1], batch_id=f"b{day}")
    assert (lake.path(BARS) / "_delta_log" / "_last_checkpoint").exists()
    assert unflushed(lake, flushed) == set()
    assert lake.read(BARS).sort("event_time")["close"].to_list() == bars["close"].to_list()


def test_data_is_on_disk_before_a_commit_names_it(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Telling(DeltaTable):
        def create_write_transaction(self, actions: list[object], *arguments: object, **options: object) -> None:
            done.extend(f"commit {Path(action.path).name}" for action in actions)  # type: ignore[attr-defined]
            super().create_write_transaction(actions, *arguments, **options)  # type: ignore[arg-type]

    def tell(path: Path) -> None:
        flush(path)
        done.append(f"flush {path.name}")

    monkeypatch.setattr(snapshots, "DeltaTable", Telling)
    monkeypatch.setattr(files, "flush", tell)
    monkeypatch.setattr(delta, "flush", tell)
    lake.merge(BARS, tiny_market(["AAA"], sessions=300, seed=1))
    names = [Path(file).name for file in lake.files(BARS)]
    assert len(names) == 2
    for name in names:
        assert done.index(f"flush {name}") < done.index(f"commit {name}")
    entry = f"flush {lake.version(BARS):020d}.json"
    assert done.index(entry) > max(done.index(f"commit {name}") for name in names)
