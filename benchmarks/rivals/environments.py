"""Rivals that cannot share our environment: each gets one of its own, and a script that is run in it.

An environment is made when it is first asked for, from exact versions, and kept in a folder. A rival that cannot be
installed or fails is an answer too, and stands as such in the results.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

MADE = "is-complete"
INSTALL_SECONDS, RUN_SECONDS = 1_200, 1_800


@dataclass(frozen=True)
class Rival:
    """A program that is measured beside ours.

    Parameters
    ----------
    name
        As the results call it.
    requirements
        What is installed, with exact versions: the packages that decide speed and values at least.
    """

    name: str
    requirements: tuple[str, ...]

    @property
    def versions(self) -> str:
        """What ran, in words."""
        return ", ".join(requirement.replace("==", " ") for requirement in self.requirements)


@dataclass(frozen=True)
class Answer:
    """What a rival computed, and how long it took by its own clock, start of the process and imports apart."""

    seconds: float
    values: dict[str, npt.NDArray]


@dataclass(frozen=True)
class Unavailable:
    """Why there is no answer of a rival, in one sentence."""

    reason: str


def ask(rival: Rival, script: Path, inputs: Mapping[str, npt.ArrayLike], environments: Path) -> Answer | Unavailable:
    """Run a script in the environment of a rival.

    Parameters
    ----------
    script
        Called with two paths: an ``.npz`` of the inputs to read, and one to write that holds ``seconds`` and values.
    environments
        Folder of the environments, made if it does not exist.
    """
    python = environment(rival, environments)
    if isinstance(python, Unavailable):
        return python
    with tempfile.TemporaryDirectory() as folder:
        given, answered = Path(folder, "in.npz"), Path(folder, "out.npz")
        np.savez(given, **{name: np.asarray(value) for name, value in inputs.items()})
        problem = _run([python, script.absolute(), given, answered], RUN_SECONDS, folder)
        if problem:
            return Unavailable(f"{rival.name} failed: {problem}")
        with np.load(answered) as file:
            values = {name: file[name] for name in file.files}
    return Answer(float(values.pop("seconds")), values)


def environment(rival: Rival, environments: Path) -> Path | Unavailable:
    """Return the Python of a rival's environment, which is made if it is not there yet."""
    digest = hashlib.sha256("\n".join((sys.version, *rival.requirements)).encode()).hexdigest()[:12]
    home = environments / f"{rival.name}-{digest}"
    python = home / "bin" / "python"
    if (home / MADE).exists():
        return python
    environments.mkdir(parents=True, exist_ok=True)
    uv = Path(sys.executable).with_name("uv")
    local = os.environ.get("PIP_FIND_LINKS", "").split()  # pip reads it by itself, uv does not
    links = [word for place in local for word in ("--find-links", place)]
    if uv.exists():
        make: list[str | Path] = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, home]
        install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python, *links]
    else:
        make = [sys.executable, "-m", "venv", "--clear", home]
        install = [python, "-m", "pip", "install", "--quiet"]
    for command in (make, [*install, *rival.requirements]):
        if problem := _run(command, INSTALL_SECONDS, environments):
            return Unavailable(f"{rival.name} could not be installed ({rival.versions}): {problem}")
    (home / MADE).write_text(rival.versions, encoding="utf-8")
    return python


def _run(command: Sequence[str | Path], seconds: float, folder: str | Path) -> str:
    """Run a command away from our own packages; return what went wrong, or nothing."""
    own = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    try:
        done = subprocess.run(
            [str(word) for word in command],
            check=False,
            capture_output=True,
            text=True,
            cwd=folder,
            env=own,
            timeout=seconds,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    output = (done.stderr or done.stdout).strip().splitlines()
    return f"exit status {done.returncode}, {output[-1] if output else 'and it said nothing'}"
