"""The guide for contributors names only what exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`([^`\s]+)`", GUIDE)))
PATHS = [name for name in NAMES if "/" in name or name.endswith((".toml", ".md", ".txt"))]


def test_every_path_in_the_guide_exists() -> None:
    assert [name for name in PATHS if not (ROOT / name).exists()] == []


def test_the_guide_names_what_it_should() -> None:
    assert len(PATHS) > 20
