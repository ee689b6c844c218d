"""One small but whole platform, made once: every stage really run, with the experiment that takes seconds."""

import os
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from lake.settings import Settings, settings


class Home:
    """A home folder whose settings are those of this process while it is in use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Settings:
        self._before = {name: os.environ.get(name) for name in self._chosen}
        os.environ.update(self._chosen)
        settings.cache_clear()
        return settings()

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        settings.cache_clear()

    @property
    def environment(self) -> dict[str, str]:
        """Variables of a process that works in this home."""
        return os.environ | self._chosen

    @property
    def _chosen(self) -> dict[str, str]:
        return {
            "QUANTLAKE_HOME": str(self.folder),
            "QUANTLAKE_EXPERIMENT": "test",
            "DAGSTER_HOME": str(self.folder / "dagster"),
        }

    def copy(self, folder: Path) -> "Home":
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*.lock", "*.pid"))
        return Home(folder)


@pytest.fixture(scope="session")
def demo_output(tmp_path_factory) -> tuple[Home, str]:
    """The home that `quantlake demo` made, and what it printed."""
    from dagster_project.commands.demo import demo, show

    home = Home(tmp_path_factory.mktemp("demo") / "data")
    console = Console(record=True, width=200)
    with home as configured:
        show(demo(configured, console), configured, console)
    return home, console.export_text()


@pytest.fixture
def demo_home(demo_output) -> Home:
    return demo_output[0]
