"""Fresh processes for declared computations and for a user's file, forked from one that has imported what takes long.

This process has computed nothing. For a file it has imported Polars and the installed modules that the file asks for,
and never imports the file: each fork does, anew. What is declared it has imported, kernels compiled. Each line of its
input is the folder of a job. A fork of it computes, leaves its answer in the folder and ends; one at a time, so that no
two see each other's files. Polars starts its threads at the first computation, which no fork inherits.
"""

import contextlib
import gc
import importlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from feature_repo.engines import compile_context
from feature_repo.leaks.counterfactuals import KeptRows
from feature_repo.leaks.subject import LeakSubject
from feature_repo.leaks.subjects import declared_subjects
from feature_repo.leaks.traces import Traces
from feature_repo.leaks.user_files import subjects_of_file
from feature_repo.leaks.world import World
from lake import calendars
from lake.errors import QuantlakeError

JOB, ANSWER = "job.json", "answer.json"
READY, COMPUTED = "ready", "has computed"
"""The first reply: whether a process that is forked now can compute, for which it needs threads of its own."""
TASKS = Path("/proc/self/task")
Subjects = Callable[[], Sequence[LeakSubject]]


def serve_file(path: str, *modules: str) -> None:
    """Answer for what a file holds, which each process imports anew; the installed modules are imported here."""
    for module in modules:
        with contextlib.suppress(Exception):  # the fork that imports the file says what is wrong
            importlib.import_module(module)
    if any(module.startswith("feature_repo") for module in modules):
        compile_context()
    _serve(partial(subjects_of_file, Path(path)))


def serve_declared(*lists: str) -> None:
    """Answer for subjects that are declared in importable modules, see `declared_subjects`."""
    subjects = declared_subjects(lists)
    calendars.load()
    for subject in subjects:
        subject.prepare()
    _serve(lambda: subjects)


def _serve(subjects: Subjects) -> None:
    """Fork a process for each folder that the input names, and say its exit status when it has ended."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a computation prints is no reply
    replies.write(f"{READY if not _has_computed() else COMPUTED}\n")
    replies.flush()
    gc.freeze()
    for number, line in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            if number:
                _be_quiet()
            _work(subjects, Path(line.rstrip("\n")))
        _, status = os.waitpid(child, 0)
        replies.write(f"{os.waitstatus_to_exitcode(status)}\n")
        replies.flush()


def _has_computed() -> bool:
    """Whether Polars has started its threads, which a fork would wait for and never have. Only Linux can tell."""
    names = [(task / "comm").read_text() for task in TASKS.iterdir()] if TASKS.is_dir() else []
    return any(re.match(r"polars-\d", name) for name in names)


def _be_quiet() -> None:
    """Print nothing: the first process has said it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())


def _work(subjects: Subjects, folder: Path) -> None:
    """Do one job and end this process, whatever happens."""
    status = 1
    try:
        temporary = folder / "temporary"
        temporary.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        sys.dont_write_bytecode = True
        job = json.loads((folder / JOB).read_text(encoding="utf-8"))
        with Traces(but=folder) as traces:
            answer = _answer(subjects, folder, job)
        traces.remove()
        (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _answer(subjects: Subjects, folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Write a frame for each subject asked for and return their names, or say what went wrong."""
    try:
        frames = _frames(subjects, folder, job)
        for name, frame in frames.items():
            frame.write_ipc(folder / f"{name}.arrow")
    except QuantlakeError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the process that asked is told
        message = f"{', '.join(job['names'])} cannot be checked: {type(error).__name__}: {error}."
        return {"error": "ConfigError", "message": message}
    else:
        return {"names": [*frames]}


def _frames(subjects: Subjects, folder: Path, job: dict[str, Any]) -> dict[str, pl.DataFrame]:
    asked = [subject for subject in subjects() if subject.name in job["names"]]
    found: dict[str, list[pl.DataFrame]] = {}
    bases: dict[int, World] = {}
    for part in job["parts"]:
        number = part["base"]
        if number not in bases:
            bases[number] = World(*(pl.read_ipc(folder / f"{number}-{name}.arrow") for name in ("bars", "releases")))
        until = None if part["until"] is None else datetime.fromisoformat(part["until"])
        world = bases[number] if until is None else bases[number].until(until)
        rows = KeptRows.from_text(part["kept"])
        for _ in range(job["calls"]):
            for subject in asked:
                found.setdefault(subject.name, []).append(rows.of(subject.compute(world)))
    if job["calls"] > 1:  # of the whole world: the first call, and the last one beside it
        again = {f"{name}-again": frames[-1] for name, frames in found.items()}
        return {name: frames[0] for name, frames in found.items()} | again
    return {name: pl.concat(frames, how="vertical_relaxed") for name, frames in found.items()}
