"""The examples in the docstrings of what a notebook user calls run, and say what they print."""

import tempfile
from pathlib import Path

import pytest

from support.examples import failed_examples, modules_with_examples

MODULES = modules_with_examples("lake")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert failed_examples(name) == ""
