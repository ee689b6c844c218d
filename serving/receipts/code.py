"""Identity of the running code: version, commit and a digest of the sources, computed once per process."""

import hashlib
import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

ROOT = Path(__file__).parents[2]
PACKAGES = ("serving", "feature_repo", "lake")
"""What takes part in a forecast."""


class Code(BaseModel):
    """The code and the machine behind a forecast.

    Parameters
    ----------
    version
        Version of this project.
    commit
        Commit of the checkout it runs from; empty where it is installed.
    sources
        SHA-256 over the names and contents of all sources that take part in a forecast.
    python, numpy, onnxruntime
        Versions of what computes.
    processor
        Kind of processor; another one may round otherwise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    commit: str
    sources: str
    python: str
    numpy: str
    onnxruntime: str
    processor: str


@cache
def running_code() -> Code:
    """Return the code of this process."""
    return Code(
        version=version("quantlake"),
        commit=_commit(),
        sources=_digest_of_sources(),
        python=platform.python_version(),
        numpy=version("numpy"),
        onnxruntime=_onnxruntime(),
        processor=_processor(),
    )


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return ""
    asked = subprocess.run([git, "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    for file in sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py")):
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _onnxruntime() -> str:
    import onnxruntime

    return str(onnxruntime.__version__)


def _processor() -> str:
    """Machine, and the processor's own name where the system tells it."""
    names = Path("/proc/cpuinfo")
    lines = names.read_text(encoding="utf-8").splitlines() if names.exists() else []
    model_name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.machine()} {model_name or platform.processor() or os.name}".strip()
