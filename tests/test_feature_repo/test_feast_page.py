"""The page for users of Feast does what it says, command by command."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feature_repo.feast_store.locations import REPO
from feature_repo.retrieval import materialize
from lake.clock import DEMO_START
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.store import Lake

PAGE = (REPO.parent / "docs" / "feast.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    return found


@pytest.fixture
def home(featured_lake: Lake, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The home of the environment, over the features of the real market."""
    settings.home.mkdir(parents=True)
    settings.tables.symlink_to(featured_lake.root)
    monkeypatch.setenv("QUANTLAKE_HOME", str(settings.home))
    read_settings.cache_clear()
    yield settings
    read_settings.cache_clear()


def test_what_the_page_does_in_python_gives_values(home: Settings) -> None:
    materialize(Lake.open(home), home, DEMO_START)
    said: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, said)
    assert said["known"][["rsi_14", "volatility_20d"]].notna().all(axis=None)
    assert said["again"].frame.equals(said["trained"].frame)
    assert said["trained"].versions == {"features_technical": said["trained"].versions["features_technical"]}
    assert None not in [*said["online"]["rsi_14"], *said["online"]["known_time_us"]]


@pytest.mark.slow
def test_every_command_of_the_page_works_in_the_repository(home: Settings) -> None:
    for command in "".join(blocks("bash")).splitlines():
        program, *arguments = shlex.split(command)
        at = str(Path(sys.executable).parent / program)
        home_of = os.environ | {"QUANTLAKE_HOME": str(home.home)}
        done = subprocess.run([at, *arguments], cwd=REPO, env=home_of, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
