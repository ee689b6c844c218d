"""The examples in the docstrings of what a notebook user calls run, and say what they print."""

import tempfile
from pathlib import Path

import pytest

from support.examples import failed_examples

MODULES = (
    "lake.calendars",
    "lake.care.backup.creating",
    "lake.care.maintenance",
    "lake.care.pins",
    "lake.disk.identity",
    "lake.disk.key_files",
    "lake.ingest",
    "lake.quality",
    "lake.report",
    "lake.sources.http.adjusting",
    "lake.sources.http.fetching",
    "lake.sources.http.fields",
    "lake.sources.http.redaction",
    "lake.sources.http.values",
    "lake.sources.registry",
    "lake.sql",
    "lake.store",
    "lake.store.delta",
    "lake.store.merge",
    "lake.store.reading",
    "lake.tables",
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert failed_examples(name) == ""
