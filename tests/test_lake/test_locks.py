"""Two jobs at once in one home: the second names the first, waits, and sees what the first did."""

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from lake.disk import job_lock
from lake.disk.locks import HOLDER

JOB = """
import sys
from pathlib import Path
from lake.disk import job_lock
home, name = Path(sys.argv[1]), sys.argv[2]
with job_lock(home, name, lambda message: print(message, flush=True)):
    print("at work", flush=True)
    sys.stdin.readline()
    with (home / "done").open("a") as file:
        file.write(name + " ")
print("over", flush=True)
"""

NAMELESS = """
import sys
from pathlib import Path
from filelock import FileLock
from lake.disk.locks import LOCK
with FileLock(Path(sys.argv[1]) / LOCK):
    print("at work", flush=True)
    sys.stdin.readline()
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a job in a process of its own; ended with the test."""
    with ExitStack() as started:

        def run(home: Path, name: str, code: str = JOB) -> "subprocess.Popen[str]":
            command = [sys.executable, "-c", code, str(home), name]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            started.enter_context(process)
            started.callback(process.kill)
            return process

        yield run


def line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_second_job_names_the_first_and_waits(start: Start, tmp_path: Path) -> None:
    first = start(tmp_path, "quantlake advance")
    assert line(first) == "at work"
    second = start(tmp_path, "quantlake update")
    message = line(second)
    assert re.fullmatch(
        rf"`quantlake advance` \(pid {first.pid}, since \d\d:\d\d\) is running in this home; "
        r"waiting for it to finish\. Ctrl-C to leave\.",
        message,
    )
    assert not (tmp_path / "done").exists()
    first.communicate("\n")
    assert line(second) == "at work"
    assert (tmp_path / "done").read_text() == "quantlake advance "
    second.communicate("\n")
    assert (tmp_path / "done").read_text() == "quantlake advance quantlake update "
    assert not (tmp_path / HOLDER).exists()


def test_a_killed_job_lets_the_next_one_go_on(start: Start, tmp_path: Path) -> None:
    first = start(tmp_path, "quantlake advance")
    assert line(first) == "at work"
    second = start(tmp_path, "quantlake update")
    assert f"pid {first.pid}" in line(second)
    first.kill()
    first.wait()
    assert line(second) == "at work"
    second.communicate("\n")
    third = start(tmp_path, "third")
    assert line(third) == "at work"
    third.communicate("\n")


def test_ctrl_c_leaves_the_queue_and_the_first_goes_on(start: Start, tmp_path: Path) -> None:
    first = start(tmp_path, "quantlake advance")
    assert line(first) == "at work"
    second = start(tmp_path, "quantlake update")
    assert "is running in this home" in line(second)
    second.send_signal(signal.SIGINT)
    assert second.wait(120) != 0
    assert first.poll() is None
    assert "over" in first.communicate("\n")[0]


def test_a_job_within_a_job_goes_on_at_once(start: Start, tmp_path: Path) -> None:
    messages: list[str] = []

    def work() -> None:
        with job_lock(tmp_path, "thread", messages.append):
            pass

    with job_lock(tmp_path, "outer", messages.append), job_lock(tmp_path, "inner", messages.append):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(120)
        assert not thread.is_alive()
    assert messages == []
    other = start(tmp_path / "another home", "other")
    assert line(other) == "at work"
    other.communicate("\n")


def test_a_failed_job_frees_the_home(start: Start, tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), job_lock(tmp_path, "fails", print):
        raise ZeroDivisionError
    other = start(tmp_path, "other")
    assert line(other) == "at work"
    other.communicate("\n")


def test_a_name_that_was_left_behind_is_not_believed(start: Start, tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    since = "2026-11-29T09:00:00+00:00"
    (tmp_path / HOLDER).write_text(f'{{"job": "old", "pid": {int(ended.stdout)}, "since": "{since}"}}')
    first = start(tmp_path, "nameless", NAMELESS)
    assert line(first) == "at work"
    second = start(tmp_path, "second")
    assert line(second).startswith("Another job is running in this home")
    first.communicate("\n")
    assert line(second) == "at work"
    second.communicate("\n")
