"""The `feast` command itself, run where a user runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feature_repo.feast_store.locations import REPO, store_settings
from feature_repo.feast_store.registry import feature_store
from feature_repo.feast_store.services import SERVICES
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import OnlineReader
from lake.clock import DEMO_START
from lake.settings import Settings
from lake.store import Lake
from lake.universe import SYMBOLS


def feast(settings: Settings, *arguments: str) -> subprocess.Popen:
    home = {"QUANTLAKE_HOME": str(settings.home)}
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "feast"), *arguments],
        cwd=REPO,
        env=os.environ | home,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def said(process: subprocess.Popen) -> str:
    output, _ = process.communicate(timeout=600)
    assert process.returncode == 0, output
    return output


@pytest.mark.slow
def test_apply_works_in_the_repository(settings: Settings) -> None:
    before = sorted(REPO.rglob("*.db"))
    settings.home.mkdir(parents=True)
    assert "Applying changes for project quantlake" in said(feast(settings, "apply"))
    assert (settings.feast / "registry.db").exists()
    assert {service.name for service in feature_store(settings).list_feature_services()} == {
        one.name for one in SERVICES
    }
    assert sorted(REPO.rglob("*.db")) == before, "the command left a registry or a store inside the repository"


@pytest.mark.slow
def test_materialise_works_in_the_repository(featured_lake: Lake, settings: Settings) -> None:
    before = sorted(REPO.rglob("*.db"))
    settings.home.mkdir(parents=True)
    settings.tables.symlink_to(featured_lake.root)
    said(feast(settings, "apply"))
    today, _ = (process := feast(settings, "materialize-incremental", "2026-01-30")).communicate(timeout=600)
    assert process.returncode == 1
    assert "the market stands at 2012-12-31T21:00:00+0000" in today
    assert today.splitlines()[-1].startswith("Error: LookAheadError: The view 'technical' was to be materialised up to")
    assert "Traceback" not in today
    filled = said(feast(settings, "materialize-incremental", f"{DEMO_START:%Y-%m-%dT%H:%M:%S}"))
    assert "window_forecast_v2" in filled

    with running_redis(settings):
        batch = OnlineReader(settings).read(list(SYMBOLS))
    assert tuple(batch.symbols) == SYMBOLS
    assert set(batch.as_of) == {DEMO_START}
    assert sorted(REPO.rglob("*.db")) == before, "the command left a registry or a store inside the repository"


@pytest.mark.slow
def test_list_works_in_the_repository(settings: Settings) -> None:
    settings.home.mkdir(parents=True)
    said(feast(settings, "apply"))
    listed = said(feast(settings, "feature-services", "list"))
    assert {line.split()[0] for line in listed.splitlines()[1:]} == {service.name for service in SERVICES}


def test_the_command_follows_the_home_of_the_environment() -> None:
    assert store_settings().home == Path(os.environ["QUANTLAKE_HOME"])


def test_without_a_home_the_command_uses_the_folder_beside_the_repository(monkeypatch) -> None:
    from lake.settings import settings as read_settings

    monkeypatch.delenv("QUANTLAKE_HOME")
    read_settings.cache_clear()
    try:
        assert store_settings().home == REPO.parent / "data"
    finally:
        read_settings.cache_clear()


def test_one_door_is_scanned() -> None:
    """A second file would make every object exist twice, once per module name."""
    from feast.repo_operations import get_repo_files

    assert [file.name for file in get_repo_files(REPO)] == ["definitions.py"]
