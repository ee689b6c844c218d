"""Fresh processes for a user's file, forked from one that has imported what takes long; see `serve`.

This process has imported Polars and the installed modules that the file asks for, has computed nothing, and never
imports the file. Each line of its input is the folder of a job. A fork of it imports the file anew, computes, leaves
its answer in the folder and ends; one at a time, so that no two see each other's files. Polars starts its threads at
the first computation, which no fork inherits.
"""

import contextlib
import gc
import importlib
import json
import os
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from feature_repo.leaks.counterfactuals import KeptRows
from feature_repo.leaks.traces import Traces
from feature_repo.leaks.user_files import subjects_of_file
from feature_repo.leaks.world import World
from lake.errors import QuantlakeError

JOB, ANSWER = "job.json", "answer.json"


def serve(path: Path, modules: list[str]) -> None:
    """Fork a process for each folder that the input names, and say its exit status when it has ended."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the file prints is no reply
    for module in modules:
        with contextlib.suppress(Exception):  # the fork that imports the file says what is wrong
            importlib.import_module(module)
    gc.freeze()
    for number, line in enumerate(sys.stdin):
        child = os.fork()
        if child == 0:
            if number:
                _be_quiet()
            _work(path, Path(line.rstrip("\n")))
        _, status = os.waitpid(child, 0)
        replies.write(f"{os.waitstatus_to_exitcode(status)}\n")
        replies.flush()


def _be_quiet() -> None:
    """Print nothing: the first process has said it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.dup2(nowhere, sys.stderr.fileno())


def _work(path: Path, folder: Path) -> None:
    """Do one job and end this process, whatever happens."""
    status = 1
    try:
        temporary = folder / "temporary"
        temporary.mkdir()
        tempfile.tempdir = os.environ["TMPDIR"] = str(temporary)
        sys.dont_write_bytecode = True
        job = json.loads((folder / JOB).read_text(encoding="utf-8"))
        with Traces(but=folder) as traces:
            answer = _answer(path, folder, job)
        traces.remove()
        (folder / ANSWER).write_text(json.dumps(answer), encoding="utf-8")
        status = 0
    finally:
        sys.stderr.flush()
        os._exit(status)


def _answer(path: Path, folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """Write a frame for each function asked for and return their names, or say what went wrong."""
    try:
        frames = _frames(path, folder, job)
        for name, frame in frames.items():
            frame.write_ipc(folder / f"{name}.arrow")
    except QuantlakeError as error:
        return {"error": type(error).__name__, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever it is, the process that asked is told
        message = f"{', '.join(job['names'])} cannot be checked: {type(error).__name__}: {error}."
        return {"error": "ConfigError", "message": message}
    else:
        return {"names": [*frames]}


def _frames(path: Path, folder: Path, job: dict[str, Any]) -> dict[str, pl.DataFrame]:
    subjects = [subject for subject in subjects_of_file(path) if subject.name in job["names"]]
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
            for subject in subjects:
                found.setdefault(subject.name, []).append(rows.of(subject.compute(world)))
    if job["calls"] > 1:  # of the whole world: the first call, and the last one beside it
        again = {f"{name}-again": frames[-1] for name, frames in found.items()}
        return {name: frames[0] for name, frames in found.items()} | again
    return {name: pl.concat(frames, how="vertical_relaxed") for name, frames in found.items()}
