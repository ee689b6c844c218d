"""Generated pages say what the code says now; each table of measured figures names the command that measures it."""

import importlib
import re
import runpy
import warnings
from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks import report

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WRITERS = re.findall(r"\$\(BIN\)/python -m (\S+)$", MAKEFILE.partition("\ndocs:")[2].partition("\n\n")[0], re.MULTILINE)
DOCS = sorted((ROOT / "docs").glob("*.md"))
FIGURE = re.compile(r"\W*\d[\d.,]*\s*(%|s|ms|GB|MB|MiB|x|/s|bp)?(\s*±.*)?$")


def written_by(module: str, monkeypatch: pytest.MonkeyPatch) -> dict[Path, str]:
    """What `python -m module` would write, by file."""
    written: dict[Path, str] = {}
    with monkeypatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of runpy, where the module was imported before
        patch.setattr(Path, "write_text", lambda path, text, **_: written.update({path: text}))
        runpy.run_module(module, run_name="__main__", alter_sys=False)
    return written


@pytest.mark.parametrize("module", WRITERS)
def test_a_generated_page_is_what_make_docs_writes(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = written_by(module, monkeypatch)
    assert written, f"{module} writes nothing"
    for path, text in written.items():
        assert path.read_text(encoding="utf-8") == text, f"{path.relative_to(ROOT)} is old: run `make docs`"


def test_every_page_that_says_it_is_generated_is_one_of_make_docs() -> None:
    said = {
        module for page in DOCS for module in re.findall(r"[Gg]enerated.*`python -m (\S+?)`", page.read_text("utf-8"))
    }
    assert said <= set(WRITERS)
    assert len(WRITERS) >= 6


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_quoted_results_are_those_of_the_results_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert report.with_quotes(text) == text, "write `benchmarks/results.md` by `python -m benchmarks TOPIC` only"


def test_results_that_changed_are_quoted_anew(tmp_path: Path) -> None:
    results = tmp_path / "results.md"
    results.write_text("# Benchmarks\n\n## A\n\nold\n\n## B\n\nnew\n", encoding="utf-8")
    page = "x\n<!-- results: B -->\nold\n<!-- end of results -->\ny\n"
    quoted = report.with_quotes(page, results)
    assert quoted == "x\n<!-- results: B -->\n\nnew\n\n<!-- end of results -->\ny\n"
    assert report.with_quotes(quoted, results) == quoted


def measured_sections(text: str) -> list[str]:
    """Sections that hold a table most of whose cells, the first column apart, are figures."""
    found = []
    for section in re.split(r"^(?=#+ )", text, flags=re.MULTILINE):
        rows = [line.strip("|").split("|")[1:] for line in section.splitlines() if line.startswith("|")]
        cells = [cell.strip() for row in rows for cell in row if not set(cell) <= set("-: ")]
        if sum(bool(FIGURE.match(cell)) for cell in cells) * 2 > len(cells) > 0:
            found.append(section)
    return found


def test_the_search_finds_measured_tables() -> None:
    found = {page.name for page in DOCS if measured_sections(page.read_text(encoding="utf-8"))}
    assert {"calibration.md", "forecast-log.md", "selection.md", "spark.md"} <= found


@pytest.mark.parametrize("page", [*DOCS, ROOT / "README.md"], ids=lambda page: page.name)
def test_a_table_of_figures_names_a_benchmark_that_there_is(page: Path) -> None:
    for section in measured_sections(page.read_text(encoding="utf-8")):
        topics = re.findall(r"`python -m benchmarks (\w+)`", section)
        assert topics, f"no command in {section.splitlines()[0]!r}"
        assert set(topics) <= set(bench.TOPICS)


@pytest.mark.parametrize("topic", bench.TOPICS)
def test_every_benchmark_can_be_imported_and_measures(topic: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{topic}").measure)


def test_every_published_result_is_of_a_benchmark_that_there_is() -> None:
    titles = re.findall(r"^## (.+)$", report.RESULTS.read_text(encoding="utf-8"), re.MULTILINE)
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "benchmarks").glob("*.py"))
    assert [title for title in titles if f'"{title}"' not in sources] == []
