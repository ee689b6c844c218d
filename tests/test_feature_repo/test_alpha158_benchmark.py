"""Alpha158's benchmark compares before it measures; a rival that cannot answer says why in the results."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks import alpha158
from benchmarks.rivals import environments
from benchmarks.rivals.environments import Answer, Rival, Unavailable, ask
from feature_repo.catalog.alpha158 import ALPHA158
from feature_repo.engines.panel import compute_group

BARS = alpha158._market(2, 70)
NO_QLIB = Unavailable("qlib could not be installed (pyqlib): no network")


@pytest.fixture(scope="module")
def answer() -> Answer:
    """Return what Qlib would say if it computed as ours does, in float32."""
    ours = compute_group(BARS, ALPHA158)
    names = np.array([feature.name.upper() for feature in ALPHA158])
    values = np.stack([ours[name.lower()].fill_null(np.nan).to_numpy().reshape(2, 70) for name in names])
    return Answer(2.0, {"names": names, "values": values.astype(np.float32)})


def test_the_row_is_the_ratio_to_the_rivals_own_clock(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    monkeypatch.setattr(alpha158, "ask_qlib", lambda *_: answer)
    topic = alpha158.measure(2, 70, 2)
    (row,) = topic.rows
    assert len(row) == len(topic.header)
    assert row[1] == "2.00 s"
    assert row[-1] in {"aim", "must", "no"}
    assert "the same nulls in every feature" in topic.notes[0]


def test_a_missing_rival_stands_in_the_row_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alpha158, "ask_qlib", lambda *_: NO_QLIB)
    topic = alpha158.measure(2, 70, 1)
    assert topic.rows[0][1] == NO_QLIB.reason
    assert topic.rows[0][-1] == "not measured"
    assert topic.notes[0] == "values were not compared"


def test_a_rival_that_computes_something_else_is_not_measured(answer: Answer) -> None:
    ours = compute_group(BARS, ALPHA158)
    alpha158.compare(ours, answer)
    with pytest.raises(AssertionError, match="Qlib computes CORD60 differently"):
        alpha158.compare(ours.with_columns(pl.col("cord60") * 1.001), answer)
    with pytest.raises(AssertionError, match="Qlib knows ROC5 at other bars"):
        alpha158.compare(ours.with_columns(pl.col("roc5").fill_null(1)), answer)


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(f"import sys\nimport numpy as np\ngiven = np.load(sys.argv[1])\n{text}\n")
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Rival, Path]:
    """Return a rival whose environment is ours, as if it had been installed."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(environments, "environment", lambda *_: python)
    return Rival("double", ("double==1.0",)), tmp_path


def test_a_script_is_asked_with_arrays_and_answers_with_arrays(installed: tuple[Rival, Path]) -> None:
    rival, folder = installed
    text = "np.savez(sys.argv[2], seconds=0.5, twice=2 * given['x'])"
    answer = ask(rival, script(folder, text), {"x": [1.0, 2.0]}, folder)
    assert isinstance(answer, Answer)
    assert answer.seconds == 0.5
    np.testing.assert_array_equal(answer.values["twice"], [2, 4])


def test_a_script_that_fails_is_an_answer(installed: tuple[Rival, Path]) -> None:
    rival, folder = installed
    answer = ask(rival, script(folder, "raise SystemExit('no such field: vwap')"), {"x": [1.0]}, folder)
    assert answer == Unavailable("double failed: exit status 1, no such field: vwap")


def test_a_rival_that_cannot_be_installed_is_an_answer(tmp_path: Path) -> None:
    rival = Rival("absent", (str(tmp_path / "absent-1.0-py3-none-any.whl"),))
    answer = ask(rival, tmp_path / "unused.py", {}, tmp_path / "environments")
    assert isinstance(answer, Unavailable)
    assert answer.reason.startswith("absent could not be installed")
    assert ask(rival, tmp_path / "unused.py", {}, tmp_path / "environments") == answer
