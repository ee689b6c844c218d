"""Setting up: which Python is taken, what is said where there is none, and what is pinned."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
BROKEN = "echo 'pyenv: python3.13: command not found' >&2; exit 127"
"""What the shim of a version manager does where no version of it is chosen."""


def _python(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def _find(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / ".ci" / "find-python", *arguments],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_newest_python_that_works_is_taken(tmp_path: Path) -> None:
    _python(tmp_path, "python3.13", BROKEN)
    _python(tmp_path, "python3.12", f'exec "{sys.executable}" "$@"')
    _python(tmp_path, "python3.11", f'exec "{sys.executable}" "$@"')
    assert _find(tmp_path).stdout == f"{tmp_path}/python3.12\n"
    assert _find(tmp_path, "python3.11").stdout == f"{tmp_path}/python3.11\n"


def test_a_path_with_a_space_may_be_named(tmp_path: Path) -> None:
    _python(tmp_path / "a b", "python", f'exec "{sys.executable}" "$@"')
    assert _find(tmp_path, f"{tmp_path}/a b/python").stdout == f"{tmp_path}/a b/python\n"


def test_without_any_the_message_says_what_was_found_and_what_to_install(tmp_path: Path) -> None:
    _python(tmp_path, "python3.13", BROKEN)
    _python(tmp_path, "python3.12", "echo '3.12.1 without the module ensurepip' >&2; exit 1")
    _python(tmp_path, "python3", "echo 3.10.13 >&2; exit 1")
    found = _find(tmp_path)
    assert (found.returncode, found.stdout) == (1, "")
    assert "python3.13: pyenv: python3.13: command not found\n" in found.stderr
    assert "python3.12: 3.12.1 without the module ensurepip\n" in found.stderr
    assert "python3: 3.10.13\n" in found.stderr
    assert "apt install python3.12-venv" in found.stderr
    assert "make PYTHON=/path/to/python3.12" in found.stderr
    assert "Found: no python3.9." in _find(tmp_path, "python3.9").stderr


def test_the_pythons_found_are_those_the_package_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["requires-python"] == ">=3.11,<3.14"
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / ".ci" / "find-python").read_text(encoding="utf-8")
    assert project["tool"]["ruff"]["target-version"] == "py311"
    assert project["tool"]["mypy"]["python_version"] == "3.11"


def test_pins_name_no_index_no_gpu_library_and_each_package_once() -> None:
    names = [pin.partition("==")[0] for pin in PINS]
    assert [pin for pin in PINS if "==" not in pin or "://" in pin or "+" in pin.partition(" ;")[0]] == []
    assert [n for n in names if n.startswith(("nvidia-", "cuda-", "triton")) and n != "nvidia-ml-py"] == []
    assert len(names) == len(set(names)), "a package has another version on another Python"


@pytest.mark.parametrize("package", ["torch", "numba", "numpy", "polars"])
def test_what_decides_the_numbers_is_pinned_for_every_python(package: str) -> None:
    assert [" ;" in pin for pin in PINS if pin.startswith(f"{package}==")] == [False]
