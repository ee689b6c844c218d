"""Files that share a costly fixture run on one worker, and what takes longest begins first."""

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).parents[1]
CONFTEST = "from support.scheduling import pytest_collection_modifyitems, pytest_xdist_make_scheduler"
FILES = ("test_alone.py", "test_notebooks.py", "test_service_of_some_kind.py", "test_demo.py", "test_last.py")
CONTENT = """
import pytest

@pytest.mark.parametrize("number", range(3))
def test_nothing(number):
    pass
"""


def run(folder: Path) -> dict[str, list[str]]:
    """Run a folder of small tests with the real hooks; the files of each worker in the order it began them."""
    (folder / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n", encoding="utf-8")
    for file in FILES:
        (folder / file).write_text(CONTENT, encoding="utf-8")
    without = [f"-pno:{name}" for name in ("schemathesis", "faker", "typeguard", "hypothesispytest", "anyio")]
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", *without]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    begun: dict[str, list[str]] = defaultdict(list)
    for worker, file in re.findall(r"^\[(gw\d)\].* PASSED (\S+?)::", done.stdout, re.MULTILINE):
        begun[worker].append(file)
    return {worker: list(dict.fromkeys(files)) for worker, files in begun.items()}


def test_each_file_and_each_group_is_run_by_one_worker_and_both_have_work(tmp_path: Path) -> None:
    begun = run(tmp_path)
    assert len(begun) == 2
    assert sorted(file for files in begun.values() for file in files) == sorted(FILES), "a file was torn apart"
    worker_of = {file: worker for worker, files in begun.items() for file in files}
    assert worker_of["test_demo.py"] == worker_of["test_notebooks.py"]
    assert {files[0] for files in begun.values()} == {"test_demo.py", "test_service_of_some_kind.py"}, (
        "the longest first"
    )
