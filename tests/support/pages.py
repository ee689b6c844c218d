"""What the pages for readers hold: files, links, headings, and the code they show."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = ROOT / "docs" / "README.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
"""Every page that is kept up to date; the change log tells of commands as they were."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """Return the path of a page below the repository."""
    return page.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Return the text without its fenced blocks."""
    return FENCE.sub("", text)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links that lead into the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text(encoding="utf-8")))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to the headings of a page; a heading that comes twice counts on."""
    found: list[str] = []
    for heading in re.findall(r"^#+ (.+)$", prose(page.read_text(encoding="utf-8")), re.MULTILINE):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


def shown_code(text: str) -> list[str]:
    """Return the lines of fenced blocks without their comments, and the inline code of the rest, each on one line."""
    lines = [line.partition(" #")[0] for _, block in FENCE.findall(text) for line in block.splitlines()]
    return lines + [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", prose(text))]
