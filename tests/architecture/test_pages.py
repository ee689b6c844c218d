"""The map of `docs/` has every page, and no link of any page is dead."""

import ast
import re
from pathlib import Path

import pytest

from support.pages import FENCE, MAP, PAGES, ROOT, anchors, links, name_of, shown_code

OF_THE_CODE = re.compile(
    r"(?<![\w/.])((?:lake|feature_repo|training|serving|dagster_project|benchmarks|notebooks|tests|docs)/[\w./-]*\w)"
)
READERS = ("Analyst", "ML engineer", "Operator", "Contributor")


def _target(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    dead = []
    for link in links(page):
        target, anchor = _target(page, link), link.partition("#")[2]
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    assert dead == [], f"{name_of(page)} links to what is not there"


@pytest.mark.parametrize("page", [page for page in PAGES if "adr" not in page.parts], ids=name_of)
def test_every_file_of_the_code_that_a_page_names_exists(page: Path) -> None:
    named = {path for code in shown_code(page.read_text(encoding="utf-8")) for path in OF_THE_CODE.findall(code)}
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_that_a_page_shows_parses_and_imports_what_there_is(page: Path) -> None:
    shown = [block for language, block in FENCE.findall(page.read_text(encoding="utf-8")) if language == "python"]
    nodes = [node for block in shown for node in ast.walk(ast.parse(block)) if isinstance(node, ast.ImportFrom)]
    ours = [(node.module, name.name) for node in nodes if node.module for name in node.names]
    assert [f"{module}.{name}" for module, name in ours if _is_ours(module) and not _exists(module, name)] == []


def _is_ours(module: str) -> bool:
    return (ROOT / module.partition(".")[0]).is_dir()


def _exists(module: str, name: str) -> bool:
    """Whether a module has a name, or a module of that name, by its source alone: pages import torch and Feast."""
    path = ROOT.joinpath(*module.split("."))
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    in_source = source.exists() and re.search(rf"\b{name}\b", source.read_text(encoding="utf-8"))
    return bool(in_source) or (path / f"{name}.py").exists()


def test_an_import_that_fails_would_be_found() -> None:
    assert _exists("lake.store", "Lake")
    assert not _exists("lake.store", "Lakes")
    assert not _exists("lake.shop", "Lake")


def test_the_map_has_every_page() -> None:
    linked = {_target(MAP, link) for link in links(MAP)}
    missing = [name_of(page) for page in PAGES if page not in {MAP, *linked}]
    assert missing == [], "docs/README.md does not link to them"


def test_the_map_has_a_first_day_for_each_kind_of_reader() -> None:
    sections = MAP.read_text(encoding="utf-8").split("\n## ")
    days = {section.partition("\n")[0]: section for section in sections}
    for reader in READERS:
        tasks = [line for line in days[reader].splitlines() if line.startswith("| ") and "](" in line]
        assert 5 <= len(tasks) <= 8, reader
        assert [task for task in tasks if "`" not in task] == [], "a task without a command"


def test_the_readme_leads_to_the_map() -> None:
    assert MAP in {_target(ROOT / "README.md", link) for link in links(ROOT / "README.md")}


def test_a_dead_link_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A `b` of c\n\n## Twice\n\n## Twice\n\n```\n[no](link)\n```\n\n[x](#y) [z](https://z)\n", "utf-8")
    assert links(page) == ["#y"]
    assert anchors(page) == {"a-b-of-c", "twice", "twice-1"}
