"""Killed before any call that changes a file, and run again: nothing lost, nothing doubled, the table opens.

Two ways to be exact about where: a small library that counts the calls of the whole process, the writer written in
Rust included (where there is a C compiler to build it with), and the store's own sequence of steps (everywhere).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable

from lake.care import maintenance
from lake.store import Lake

HERE = Path(__file__).parent / "crash"
sys.path.insert(0, str(HERE))
from victim import FACTS, FIRST, OPERATIONS, facts  # noqa: E402 - a script that is no package, run by this test

sys.path.remove(str(HERE))
BEFORE = [facts(batch) for batch in range(4)]
Kill = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a lake with four batches, and a checkpoint at each commit, so that one is always written as well."""
    lake = Lake(tmp_path_factory.mktemp("template") / "tables")
    lake.merge(FACTS, FACTS.empty())
    DeltaTable(str(lake.path(FACTS))).alter.set_table_properties({"delta.checkpointInterval": "2"})
    for batch, rows in enumerate(BEFORE):
        lake.append(FACTS, rows, batch_id=f"b{batch}")
    return lake.root


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the library that counts calls and kills, built here."""
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("kill points are counted by a preloaded library; building it needs Linux and a C compiler")
    built = tmp_path_factory.mktemp("library") / "kill_at.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(built), str(HERE / "kill_at.c"), "-ldl"], check=True)
    return str(built)


def victims(way: str, preload: str = "") -> Iterator[Kill]:
    environment = (
        os.environ
        | {"PYTHONPATH": os.pathsep.join(map(str, HERE.parents[1:3]))}
        | ({"LD_PRELOAD": preload} if preload else {})
    )
    command = [sys.executable, str(HERE / "victim.py")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def kill(operation: str, lake: Lake, number: int, *, mutant: bool = False) -> dict[str, Any]:
            order = {"operation": operation, "root": str(lake.root), "number": number, "way": way, "mutant": mutant}
            process.stdin.write(json.dumps(order) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield kill
        process.stdin.close()


@pytest.fixture(scope="module")
def by_step() -> Iterator[Kill]:
    yield from victims("step")


@pytest.fixture(scope="module")
def by_call(library: str) -> Iterator[Kill]:
    yield from victims("call", library)


@pytest.fixture(scope="module")
def by_torn_call(library: str) -> Iterator[Kill]:
    yield from victims("torn", library)


def content(lake: Lake) -> pl.DataFrame:
    return lake.read(FACTS).sort(FACTS.names) if lake.exists(FACTS) else FACTS.empty()


def expected(operation: str, *, is_done: bool) -> pl.DataFrame:
    rows = [] if operation == FIRST else BEFORE
    news = [facts(9)] if is_done and operation in {FIRST, "append", "merge"} else []
    return pl.concat([FACTS.empty(), *rows, *news]).sort(FACTS.names)


def fault(operation: str, lake: Lake, again: Callable[[Lake], Any], *, further: bool = False) -> str | None:
    """What is wrong with a lake that a writer was killed over, and then with running the same once more."""
    try:
        found = content(lake)
        if not any(found.equals(expected(operation, is_done=is_done)) for is_done in (False, True)):
            return "half of the rows are there"
        again(lake)
        if not content(lake).equals(expected(operation, is_done=True)):
            return "run again, rows are lost or doubled"
        if further:
            again(lake)
            lake.merge(FACTS, facts(10))
            maintenance.vacuum(lake, FACTS, keep=timedelta(0))
            if not content(lake).equals(pl.concat([expected(operation, is_done=True), facts(10)]).sort(FACTS.names)):
                return "what comes later is lost"
    except Exception as error:  # noqa: BLE001 - whatever it is, the store did not keep its promise
        return f"{type(error).__name__}: {error}"
    return None


def die_everywhere(
    kill: Kill,
    template: Path,
    folder: Path,
    operation: str,
    again: Callable[[Lake], Any] | None = None,
    **options: bool,
) -> tuple[int, list[str]]:
    """Kill before the first change, the second, and so on to the end; return how many, and the faults."""
    faults: list[str] = []
    further, stop = options.pop("further", False), options.pop("stop", False)
    for number in range(1, 1000):
        lake = Lake(folder / f"{operation}{number}" / "tables")
        lake.root.mkdir(parents=True) if operation == FIRST else shutil.copytree(template, lake.root)
        killed = kill(operation, lake, number, **options)["killed"]
        wrong = fault(operation, lake, again or OPERATIONS[operation], further=further)
        faults += [] if wrong is None else [f"killed before change {number}: {wrong}"]
        shutil.rmtree(lake.root)
        if not killed or (faults and stop):
            return number - 1, faults
    raise AssertionError("the writer never came to its end")


@pytest.mark.parametrize(
    "operation",
    [name if name == "merge" else pytest.param(name, marks=pytest.mark.slow) for name in OPERATIONS],
)
def test_killed_at_each_step_of_the_store_nothing_is_lost_or_doubled(
    operation: str, by_step: Kill, template: Path, tmp_path: Path
) -> None:
    points, faults = die_everywhere(by_step, template, tmp_path, operation)
    assert faults == []
    assert points >= 3


@pytest.mark.slow
def test_a_store_that_forgets_its_batches_would_double_rows(by_step: Kill, template: Path, tmp_path: Path) -> None:
    def append_anew(lake: Lake) -> None:
        lake.append(FACTS, facts(9), batch_id="another")

    _, faults = die_everywhere(by_step, template, tmp_path, FIRST, append_anew, stop=True)
    assert any("doubled" in fault for fault in faults)


@pytest.mark.slow
def test_a_store_that_commits_file_by_file_would_show_half(by_step: Kill, template: Path, tmp_path: Path) -> None:
    _, faults = die_everywhere(by_step, template, tmp_path, FIRST, mutant=True, stop=True)
    assert any("half of the rows" in fault for fault in faults)


@pytest.mark.slow
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("way", ["by_call", "by_torn_call"])
def test_killed_at_each_file_changing_call_nothing_is_lost_or_doubled(
    way: str, operation: str, template: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    points, faults = die_everywhere(request.getfixturevalue(way), template, tmp_path, operation, further=True)
    assert faults == []
    assert points >= 3
    print(f"{operation}, {way}: killed at {points} calls")  # noqa: T201 - the count is the evidence


def test_killed_at_each_file_changing_call_of_a_first_append(by_call: Kill, template: Path, tmp_path: Path) -> None:
    points, faults = die_everywhere(by_call, template, tmp_path, FIRST)
    assert faults == []
    assert points >= 15
