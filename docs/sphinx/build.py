"""Build the documentation site: `python docs/sphinx/build.py [FOLDER]`, by default into ``site``.

The pages of `docs` and the front pages are copied beside the pages of the programming interface, and Sphinx makes HTML
of them. A warning is an error. Nothing of the site is loaded from another host.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from api_pages import ROOMS, ROOT, api_pages

FRONT = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
MEASURED = "benchmarks/results.md"
INDEX = "# quantlake\n\nA lakehouse for forecasting markets, where every forecast can say which data made it.\n"


def stage(folder: Path) -> None:
    """Write the source of the site into a folder: pages where their links expect them, and an index of all."""
    guides = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))]
    decisions = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    pictures = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.png"))]
    for name in (*FRONT, MEASURED, *guides, *decisions, *pictures):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)
    front = folder / FRONT[0]
    front.write_text(_rooms_as_pages(front.read_text(encoding="utf-8")), encoding="utf-8")
    (folder / "api").mkdir()
    for name, page in api_pages().items():
        (folder / "api" / f"{name}.md").write_text(page, encoding="utf-8")
    parts = {"Start": [*FRONT[:2], "docs/README.md"], "Guides": [name for name in guides if name != "docs/README.md"]}
    parts |= {"Programming interface": [f"api/{room}.md" for room in ROOMS], "Decisions": decisions}
    parts |= {"Figures and changes": [MEASURED, FRONT[2]]}
    index = INDEX + "".join(_contents(caption, pages) for caption, pages in parts.items())
    (folder / "index.md").write_text(index, encoding="utf-8")


def build(target: Path) -> int:
    """Build the site into a folder; return 0, or what Sphinx ends with."""
    from sphinx.cmd.build import build_main

    with tempfile.TemporaryDirectory() as scratch:
        source, trees = Path(scratch, "source"), Path(scratch, "trees")
        source.mkdir()
        stage(source)
        return build_main(
            ["-q", "-W", "--keep-going", "-c", str(Path(__file__).parent), "-d", str(trees), str(source), str(target)]
        )


def _contents(caption: str, pages: Iterable[str]) -> str:
    return "\n".join(["", "```{toctree}", f":caption: {caption}", ":maxdepth: 1", "", *pages, "```", ""])


def _rooms_as_pages(text: str) -> str:
    """Lead links to the folder of a room to its page."""
    return re.sub(rf"\]\(({'|'.join(ROOMS)})\)", r"](api/\1.md)", text)


if __name__ == "__main__":
    sys.exit(build(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "site"))
