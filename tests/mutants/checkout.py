"""A copy of the repository in which mutants are applied, one at a time, and tests are run."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutant import Mutant

NOT_COPIED = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info")
HOME = "data"
"""Default home of the lake at the top of a checkout; `training/data` is a package and is copied."""
PLUGIN = Path(__file__).parent / "plugin"
UNUSED = tuple(part for name in ("faker", "schemathesis", "typeguard", "valkey") for part in ("-p", f"no:{name}"))
"""Plugins that no test here asks for, and that take longer to import than most tests to run."""
INHERITED = ("PYTEST_", "QUANTLAKE_", "MUTANT_")
"""Variables with these beginnings are about the process that started the runner."""


@dataclass(frozen=True)
class Outcome:
    """What became of one test: its node id, the phase it came to, ``passed``, ``failed`` or ``skipped``, its error."""

    test: str
    when: str
    outcome: str
    error: str


@dataclass(frozen=True)
class TestRun:
    """What a run of pytest said.

    Parameters
    ----------
    code
        Exit code of pytest; None where it was ended at the time limit.
    place
        File from which the package under test was imported.
    outcomes
        One per test that was called, or failed in any phase.
    output
        The end of what it printed.
    """

    __test__ = False  # no test class, though pytest collects by this name

    code: int | None
    place: str
    outcomes: tuple[Outcome, ...]
    output: str


class Checkout:
    """A copy of a repository; the original is only read.

    Compiled kernels are copied too: their cache is keyed by the folder of the source, so it is renamed for the copy.
    No byte code is written, so an edit within the same second as another is never mistaken for it.

    Parameters
    ----------
    root
        The repository.
    folder
        Empty or missing folder for the copy.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder.resolve()
        self._running: subprocess.Popen[str] | None = None

        def ignored(folder: str, names: list[str]) -> set[str]:
            home = {HOME} if Path(folder) == Path(root) else set[str]()
            return NOT_COPIED(folder, names) | home

        shutil.copytree(root, self.folder, ignore=ignored)
        for cache in self.folder.glob("*/*/__pycache__/kernels-*/*_*"):
            source = cache.parents[2]
            if cache.name == _numba_folder(root.resolve() / source.relative_to(self.folder)):
                cache.rename(cache.with_name(_numba_folder(source)))

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """Apply a mutant while a block lasts."""
        path, edited = self.folder / mutant.file, mutant.apply(self.folder)
        original = path.with_suffix(".original")
        path.rename(original)  # keeps its time stamp, and with it the byte code that was copied
        try:
            path.write_text(edited, encoding="utf-8")
            yield
        finally:
            original.replace(path)

    def run(self, tests: Sequence[str], package: str, limit_seconds: float, *options: str) -> TestRun:
        """Run those of some tests that are not marked slow, in a process of their own."""
        with tempfile.TemporaryDirectory(dir=self.folder.parent, prefix="run-") as aside:
            said = Path(aside) / "outcomes.jsonl"
            own = {
                "PYTHONPATH": f"{self.folder}{os.pathsep}{PLUGIN}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "MUTANT_OUTCOMES": str(said),
                "MUTANT_PACKAGE": package,
            }
            inherited = {name: value for name, value in os.environ.items() if not name.startswith(INHERITED)}
            command = [
                sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "mutant_outcomes",
                *UNUSED, "-m", "not slow and not gpu", "--rootdir", str(self.folder), "--basetemp", f"{aside}/tests",
                *options, *tests,
            ]  # fmt: skip
            code, output = self._wait_for(command, inherited | own, limit_seconds)
            lines = said.read_text(encoding="utf-8").splitlines() if said.exists() else []
        written = [json.loads(line) for line in lines]
        place = next((line["place"] for line in written if "place" in line), "")
        return TestRun(code, place, tuple(Outcome(**line) for line in written if "test" in line), output)

    def end(self) -> None:
        """Kill what runs, with every process it started."""
        if self._running is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, signal.SIGKILL)

    def _wait_for(
        self, command: list[str], environment: dict[str, str], limit_seconds: float
    ) -> tuple[int | None, str]:
        """Run a command as the leader of a group; its exit code, None past the limit, and the end of its output."""
        with subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        ) as process:  # fmt: skip
            self._running = process
            try:
                output, _ = process.communicate(timeout=limit_seconds)
                return process.returncode, output[-2_000:]
            except subprocess.TimeoutExpired:
                return None, ""
            finally:
                self.end()
                self._running = None


def _numba_folder(source: Path) -> str:
    """Name that numba gives the cached code of the sources of a folder."""
    return f"{source.name}_{hashlib.sha1(str(source).encode(), usedforsecurity=False).hexdigest()}"
