"""No test reads a stopwatch or rests: what it shows would depend on what else the machine does.

A test proves that something comes, how often, and before or after what; `tests/support/waiting.py` waits for it, with
a time-out that is generous. How quick something is, is measured by `benchmarks`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.waiting import VirtualClock, until

ROOT = Path(__file__).parents[2]
HELPERS = (ROOT / "tests" / "support", ROOT / "tests" / "mutants")
"""What waits on behalf of tests, and a command that is none."""
FILES = sorted(
    path
    for path in (ROOT / "tests").rglob("*.py")
    if path != Path(__file__) and not any(path.is_relative_to(folder) for folder in HELPERS)
)
STOPWATCHES = {"perf_counter", "monotonic", "process_time", "thread_time"}
RESTS = {"time.sleep", "os.sched_yield"}
NOW = {"time.time", "time.time_ns", "datetime.now", "datetime.datetime.now"}


def clocks_read(source: str) -> list[str]:
    """Give line and text of each place that reads a stopwatch, rests, or judges by the time that has passed."""
    tree = ast.parse(source)
    full = _imported(tree)
    return [f"{node.lineno}: {ast.unparse(node)}" for node in ast.walk(tree) if _is_offence(node, full)]


def _is_offence(node: ast.AST, full: dict[str, str]) -> bool:
    if isinstance(node, ast.Attribute | ast.Name):
        name = _name(node, full)
        module, _, what = name.rpartition(".")
        return name in RESTS or (module == "time" and what.removesuffix("_ns") in STOPWATCHES)
    if isinstance(node, ast.Call):
        return _is_rest(node, full)
    if isinstance(node, ast.Assert | ast.While):
        return any(_is_time_passed(part, node, full) for part in ast.walk(node.test))
    return False


def _is_rest(call: ast.Call, full: dict[str, str]) -> bool:
    if _name(call.func, full) == "asyncio.sleep":
        return ast.unparse(call.args[0]) != "0"  # nought lets the others go on
    is_wait = isinstance(call.func, ast.Attribute) and call.func.attr == "wait"
    on = call.func.value if is_wait and isinstance(call.func, ast.Attribute) else None
    return isinstance(on, ast.Call) and _name(on.func, full) in {"threading.Event", "asyncio.Event"}


def _is_time_passed(part: ast.AST, statement: ast.Assert | ast.While, full: dict[str, str]) -> bool:
    """Whether now is subtracted from, or, in a loop, compared with something."""
    is_judged = isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub)
    is_judged |= isinstance(part, ast.Compare) and isinstance(statement, ast.While)
    return is_judged and any(_name(call.func, full) in NOW for call in _calls(part))


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _imported(tree: ast.AST) -> dict[str, str]:
    """Full names by the names they have in a file."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in {"time", "asyncio", "os", "threading"}:
            found |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _name(node: ast.AST, full: dict[str, str]) -> str:
    text = ast.unparse(node) if isinstance(node, ast.Attribute | ast.Name) else ""
    first, dot, rest = text.partition(".")
    return full.get(first, first) + dot + rest


def test_no_test_reads_a_stopwatch_or_rests() -> None:
    offenders = [f"{path.relative_to(ROOT)}:{read}" for path in FILES for read in clocks_read(path.read_text("utf-8"))]
    assert offenders == [], "wait by `support.waiting`; prove order and counts; measure in benchmarks"


def test_the_search_finds_every_folder_of_tests() -> None:
    folders = {path.relative_to(ROOT).parts[1] for path in FILES}
    assert folders >= {"test_lake", "test_feature_repo", "test_training", "test_serving", "test_dagster_project"}


@pytest.mark.parametrize(
    "line",
    [
        "import time\nbegan = time.perf_counter()",
        "import time as clock\nassert clock.monotonic() < 5",
        "from time import monotonic_ns\nmonotonic_ns()",
        "from time import sleep\nsleep(1)",
        "import time\ncall = time.sleep",
        "import os\nos.sched_yield()",
        "import asyncio\nasyncio.sleep(0.1)",
        "import threading\nthreading.Event().wait(0.5)",
        "import time\nassert time.time() - began < 1",
        "from datetime import datetime\nassert datetime.now() - began < limit",
        "import time\nwhile time.time() < end:\n    pass",
    ],
)
def test_a_clock_is_caught(line: str) -> None:
    assert clocks_read(line) != []


@pytest.mark.parametrize(
    "line",
    [
        "import asyncio\nasyncio.sleep(0)",
        "import time\nclaims = {'exp': int(time.time()) + 600}",
        "import time\nassert expires <= time.time() + 3_600",
        "import threading\nis_over = threading.Event()\nassert is_over.wait(120)",
        "child = 'import time; time.sleep(600)'",
    ],
)
def test_a_time_that_judges_nothing_is_left_alone(line: str) -> None:
    assert clocks_read(line) == []


def test_waiting_returns_what_came_and_says_what_did_not() -> None:
    answers = iter([0, "", "it is there"])
    assert until(lambda: next(answers)) == "it is there"
    with pytest.raises(AssertionError, match=r"the server did not start \(last: \[\]\)"):
        until(list, "the server did not start", seconds=0)


def test_a_virtual_clock_stands_still_until_it_is_moved() -> None:
    clock = VirtualClock()
    began = clock()
    assert clock.monotonic() == began
    clock.move(3_600)
    assert clock() == began + 3_600
