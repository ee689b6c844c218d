"""The map of `docs/` has every page, and no link of any page is dead."""

import re
from pathlib import Path

import pytest

from support.pages import MAP, PAGES, ROOT, anchors, links, name_of, shown_code

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
