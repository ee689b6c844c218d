"""The documentation site: every public function has an entry, and the site builds without a warning or foreign host."""

import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "docs" / "sphinx" / "build.py"
PAGES = runpy.run_path(str(BUILD.with_name("api_pages.py")))


class LoadedFiles(HTMLParser):
    """Addresses that a browser fetches by itself when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        if tag in {"script", "img", "iframe"} or (tag == "link" and found.get("rel") in {"stylesheet", "icon"}):
            self.addresses.append(found.get("src") or found.get("href") or "")


def test_every_public_name_of_every_face_has_an_entry() -> None:
    pages = PAGES["api_pages"]()
    missing = [
        f"{face}.{name}"
        for room in PAGES["ROOMS"]
        for face in PAGES["folders"](room)
        for name in PAGES["public_names"](face)
        if not re.search(rf"(:: |``){re.escape(face)}\.{re.escape(name)}\b", pages[face])
    ]
    assert missing == []
    assert ".. autofunction:: lake.ingest.ingest_bars" in pages["lake.ingest"]
    assert ".. autofunction:: lake.calendars.last_close" in pages["lake"], "modules of a room are on its page"


def test_a_constant_has_the_text_below_its_assignment_wherever_its_face_has_it_from() -> None:
    assert PAGES["meaning"]("lake.assessment", "PAGE") == "Name of the page in the folder of reports."
    assert PAGES["meaning"]("training.judge", "mean_absolute_error").startswith("Return the mean")


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_loads_nothing_from_another_host(tmp_path: Path) -> None:
    pytest.importorskip("sphinx", reason="the extra `docs` is not installed; `make site` installs it")
    site = tmp_path / "site"
    built = subprocess.run([sys.executable, BUILD, site], cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    pages = sorted(site.rglob("*.html"))
    assert {"index.html", "README.html", "docs/tables.html", "api/lake.store.html"} <= {
        page.relative_to(site).as_posix() for page in pages
    }
    for page in pages:
        loaded = LoadedFiles()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [each for each in loaded.addresses if "//" in each] == [], page
    styles = "".join(style.read_text(encoding="utf-8") for style in site.rglob("*.css"))
    assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", styles)
