"""Writers, a compaction and a vacuum at once: every row is there once, whoever wrote it and in whatever order."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lake.disk import locks
from lake.errors import NotReadyError
from lake.store import Lake, delta, new_or_restated, snapshots
from support.facts import FACTS

START = datetime(2020, 12, 20, 21, tzinfo=UTC)
PROCESS = """
import importlib.util, sys
from datetime import timedelta
from pathlib import Path
from lake.care import maintenance
from lake.store import Lake

described = importlib.util.spec_from_file_location("described", sys.argv[1])
tests = importlib.util.module_from_spec(described)
described.loader.exec_module(tests)
lake, part = Lake(Path(sys.argv[2])), sys.argv[3]
if part == "housekeeper":
    for _ in range(int(sys.argv[4])):
        lake.compact(tests.FACTS, at_least=3)
        maintenance.clean_log(lake, tests.FACTS, keep=timedelta(0))
        maintenance.vacuum(lake, tests.FACTS, keep=timedelta(0))
else:
    for number in range(int(sys.argv[4])):
        lake.merge(tests.FACTS, tests.known_to(int(part), number))
"""


def known_to(writer: int, number: int) -> pl.DataFrame:
    """A row that only this writer knows, and one that every writer comes with."""
    at = START + timedelta(days=number)
    return pl.DataFrame(
        [(f"W{writer}", at, at, writer + number / 16), ("ALL", at, at, number / 16)], schema=FACTS.schema, orient="row"
    )


def all_known(writers: int, merges: int) -> pl.DataFrame:
    rows = [known_to(writer, number) for writer in range(writers) for number in range(merges)]
    return pl.concat(rows).unique().sort(FACTS.names)


def start(lake: Lake, part: str, rounds: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", PROCESS, __file__, str(lake.root), part, str(rounds)], cwd=Path(__file__).parents[1]
    )


@pytest.mark.parametrize(("writers", "merges"), [(2, 8), pytest.param(6, 12, marks=pytest.mark.slow)])
def test_writers_beside_compaction_and_vacuum_lose_nothing_and_double_nothing(
    lake: Lake, writers: int, merges: int
) -> None:
    lake.merge(FACTS, FACTS.empty())
    parts = [*map(str, range(writers)), "housekeeper"]
    processes = [start(lake, part, merges if part.isdigit() else 6) for part in parts]
    assert [process.wait(timeout=240) for process in processes] == [0] * len(parts)
    assert lake.read(FACTS).sort(FACTS.names).equals(all_known(writers, merges))
    assert lake.report(FACTS).rows == merges * (writers + 1)


def merged_in_between(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merge a row, and, after the stored rows were read but before the commit, merge it as another writer would."""
    lake.merge(FACTS, FACTS.empty())
    waiting = iter([True])

    def interrupted(*arguments: Any) -> pl.DataFrame:
        if next(waiting, False):
            lake.merge(FACTS, known_to(1, 0))
        return new_or_restated(*arguments)

    monkeypatch.setattr(delta, "new_or_restated", interrupted)
    lake.merge(FACTS, known_to(1, 0))


def test_no_writer_gets_between_reading_and_committing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.01)
    with pytest.raises(NotReadyError, match="Table 'facts' has been locked"):
        merged_in_between(lake, monkeypatch)
    assert lake.read(FACTS).is_empty()


def test_without_the_lock_the_row_would_be_there_twice(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def open_to_all(*_: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(delta, "file_lock", open_to_all)
    stored: list[pl.DataFrame] = []
    monkeypatch.setattr(
        Lake,
        "_sharing_keys",
        lambda *_: stored.append(lake.read(FACTS)) or stored[0],  # read before the other wrote
    )
    merged_in_between(lake, monkeypatch)
    assert lake.read(FACTS).height == 2 * known_to(1, 0).height


def write_elsewhere(lake: Lake) -> None:
    with start(lake, "1", 1) as other:
        assert other.wait(timeout=120) == 0


def test_what_another_process_wrote_is_seen_at_once(lake: Lake) -> None:
    lake.merge(FACTS, known_to(0, 0))
    before = lake.version(FACTS)
    write_elsewhere(lake)
    assert lake.version(FACTS) == before + 1
    assert lake.merge(FACTS, known_to(1, 0)).skipped


def test_a_store_that_trusts_what_it_last_saw_would_double_rows(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake.merge(FACTS, known_to(0, 0))
    write_elsewhere(lake)
    with monkeypatch.context() as patch:
        patch.setattr(snapshots.Handle, "_is_newest", lambda *_: True)
        lake.merge(FACTS, known_to(1, 0))
    assert lake.read(FACTS).filter(symbol="W1").height == 2


def test_a_table_made_anew_under_the_same_name_is_not_taken_for_the_old_one(lake: Lake) -> None:
    import shutil

    lake.merge(FACTS, known_to(0, 0))
    lake.merge(FACTS, known_to(0, 1))
    shutil.rmtree(lake.root)
    lake.merge(FACTS, known_to(2, 3))
    assert lake.read(FACTS).sort("symbol").equals(known_to(2, 3).sort("symbol"))


def test_a_merge_is_one_commit_that_adds_files_and_does_nothing_else(lake: Lake) -> None:
    lake.merge(FACTS, known_to(0, 0))
    entry = Path(lake.path(FACTS)) / "_delta_log" / f"{1:020d}.json"
    actions = [json.loads(line) for line in entry.read_text(encoding="utf-8").splitlines()]
    assert {name for action in actions for name in action} == {"commitInfo", "add"}
