"""Answers of computations, each group of worlds in a process of its own; frames cross as Arrow IPC files."""

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Self

import polars as pl

from feature_repo.leaks.counterfactuals import Answers, WorldPart
from feature_repo.leaks.fork_server import ANSWER, COMPUTED, JOB, READY
from lake import errors
from lake.errors import ConfigError

if TYPE_CHECKING:
    from feature_repo.leaks.world import World

PARTS = 40
"""Most worlds that one process computes. They come in order of time, so that whatever a function keeps from one of
them was known in the next."""
START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from feature_repo.leaks import fork_server; "
    "getattr(fork_server, sys.argv[2])(*sys.argv[3:])"
)


class FreshProcesses:
    """Computations in processes that know of no other world; a context manager.

    Parameters
    ----------
    source
        A file of a user's, which each process imports anew; or the lists of declared subjects, each as
        ``module:function``, see `declared_subjects`.

    Examples
    --------
    >>> from feature_repo.leaks import check, subjects, trial_world
    >>> calendar = next(subject for subject in subjects() if subject.name == "features_calendar")
    >>> with FreshProcesses("feature_repo.leaks:subjects") as processes:
    ...     found = check(calendar, trial_world(60), replayed=2, answers=processes.answers_of(calendar.name))
    >>> found.passed
    True
    """

    def __init__(self, source: Path | str, *more: str) -> None:
        if isinstance(source, Path):
            path = source.resolve()
            self._told, self._arguments = str(path), ["serve_file", str(path), *_installed_modules(path)]
        else:
            self._told = " and ".join((source, *more))
            self._arguments = ["serve_declared", source, *more]
        self._folder = TemporaryDirectory(prefix="quantlake-leaks-")
        self._jobs = 0
        self._is_ready = False

    def __enter__(self) -> Self:
        self._server = subprocess.Popen(
            [sys.executable, "-c", START, json.dumps(sys.path), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._server.terminate()
        self._server.communicate()
        self._folder.cleanup()

    def answers(self, names: Collection[str], parts: Sequence[WorldPart]) -> dict[str, pl.DataFrame]:
        """Return the kept rows of each subject, one world's below another's.

        Raises
        ------
        QuantlakeError
            As the subject raised it, or a `ConfigError` if its process ended without an answer.
        """
        frames: dict[str, list[pl.DataFrame]] = {name: [] for name in names}
        for start in range(0, len(parts), PARTS):
            answer = self._one_process(names, parts[start : start + PARTS])
            for name in names:
                frames[name].append(answer[name])
        return {name: pl.concat(own, how="vertical_relaxed") for name, own in frames.items()}

    def answers_of(self, name: str) -> Answers:
        """Return the answers of one subject, for `check`."""
        return lambda parts: self.answers([name], parts)[name]

    def twice(self, names: Collection[str], part: WorldPart) -> dict[str, tuple[pl.DataFrame, pl.DataFrame]]:
        """Return what each function answers at the first call of a process, and at the second."""
        answer = self._one_process(names, [part], calls=2)
        return {name: (answer[name], answer[f"{name}-again"]) for name in names}

    def _one_process(
        self, names: Collection[str], parts: Sequence[WorldPart], calls: int = 1
    ) -> dict[str, pl.DataFrame]:
        folder = Path(self._folder.name) / str(self._jobs)
        self._jobs += 1
        folder.mkdir()
        bases: list[World] = []
        given = []
        for part in _of_one_base(parts):
            if not any(part.base is base for base in bases):
                part.base.bars.write_ipc(folder / f"{len(bases)}-bars.arrow")
                part.base.releases.write_ipc(folder / f"{len(bases)}-releases.arrow")
                bases.append(part.base)
            until = None if part.until is None else part.until.isoformat()
            given.append({"base": len(bases) - 1, "until": until, "kept": part.kept.to_text()})
        job = {"names": [*names], "parts": given, "calls": calls}
        (folder / JOB).write_text(json.dumps(job), encoding="utf-8")
        assert self._server.stdin
        assert self._server.stdout
        self._require_ready(self._server.stdout.readline().strip() if not self._is_ready else READY)
        self._server.stdin.write(f"{folder}\n")
        self._server.stdin.flush()
        status = self._server.stdout.readline().strip()
        if status != "0":
            sessions = len(bases[-1].sessions)
            raise ConfigError(
                f"The process that computed {', '.join(names)} of {self._told} over {sessions} sessions ended with "
                f"status {status or 'unknown'} and without an answer. A function must not end or kill its process."
            )
        answer = json.loads((folder / ANSWER).read_text(encoding="utf-8"))
        if "error" in answer:
            kind = getattr(errors, answer["error"], ConfigError)
            raise (ConfigError if kind is errors.UnknownNameError else kind)(answer["message"])
        frames = {name: pl.read_ipc(folder / f"{name}.arrow") for name in answer["names"]}
        shutil.rmtree(folder)
        return frames

    def _require_ready(self, reply: str) -> None:
        """Refuse to compute in a process that cannot."""
        self._is_ready = reply == READY
        if reply == COMPUTED:
            raise ConfigError(
                f"Importing what is declared in {self._told} computes a Polars frame, so that no process forked "
                "afterwards can. Compute in functions, not in the body of a module such as QUANTLAKE_FEATURE_GROUPS "
                "names."
            )
        if not self._is_ready:
            raise ConfigError(f"The process that imports {self._told} ended; what it printed says why.")


def _of_one_base(parts: Sequence[WorldPart]) -> Sequence[WorldPart]:
    """Let parts that truncate one world truncate what the last of them knew: a process is given nothing later."""
    ends = [part.until for part in parts if part.until is not None]
    if len(ends) < len(parts) or any(part.base is not parts[0].base for part in parts):
        return parts
    known = parts[0].base.until(max(ends))
    return [replace(part, base=known) for part in parts]


def _installed_modules(path: Path) -> Iterator[str]:
    """Names of the installed modules that a file imports: to import them once is enough, they know of no world."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError):
        return
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            named.add(node.module)
    beside = {other.stem for other in path.parent.iterdir()}
    for name in sorted(named):
        root = name.partition(".")[0]
        if root not in beside and find_spec(root) is not None:
            yield name
