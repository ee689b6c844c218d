"""The notebooks run as they are shipped, over the tables of a real home, and say what they found."""

from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PAST = {"01": "2010-01-04", "04": "2012-06-29"}
"""Notebooks that are also run as of a day long before the market's now, by the first letters of their name."""
RUNS = [(path, None) for path in NOTEBOOKS] + [
    (path, PAST[path.stem[:2]]) for path in NOTEBOOKS if path.stem[:2] in PAST
]

pytestmark = pytest.mark.filterwarnings("default")  # Jupyter's own machinery warns about itself


def read(path: Path) -> Any:
    import nbformat

    return nbformat.read(path, as_version=4)


def test_there_are_six():
    assert [path.stem[:2] for path in NOTEBOOKS] == ["01", "02", "03", "04", "05", "06"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_has_one_cell_of_parameters_and_ends_with_what_it_says(path: Path):
    notebook = read(path)
    tagged = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert tagged[0].startswith("AT = None")
    assert "?**" in notebook.cells[0].source
    assert notebook.cells[-2].source == "## What this says"
    assert not any(cell.get("outputs") for cell in notebook.cells), "shipped without outputs"


@pytest.mark.parametrize(("path", "at"), RUNS, ids=lambda value: getattr(value, "stem", value) or "now")
def test_notebook_runs_and_draws(path: Path, at: str | None, demo_home, monkeypatch):
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    notebook = read(path)
    if at is not None:
        place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
        notebook.cells.insert(place + 1, new_code_cell(f"AT = {at!r}"))
    monkeypatch.delenv("MPLBACKEND")  # set for the tests themselves; a reader's kernel chooses its own
    with demo_home:
        NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": path.parent}}
        ).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pictures = [output for output in shown if "image/png" in output.get("data", {})]
    assert len(pictures) >= 3
    assert "text/markdown" in shown[-1].data, "the last cell says what was found"
    assert shown[-1].data["text/markdown"].strip().startswith("- ")
