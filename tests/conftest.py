"""Fixtures shared by the tests of every room: an empty lake, settings of their own, the packaged market."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from lake.clock import DEMO_START, FixedClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.settings import Settings
from lake.settings import settings as read_settings
from lake.sources import PackagedMarket
from lake.store import Lake
from lake.tables import ACTIONS, BARS, RAW_BARS
from support.properties import register_profiles
from support.scheduling import pytest_collection_modifyitems, pytest_xdist_make_scheduler  # noqa: F401 - hooks

pytest_plugins = ["support.browsers"]
register_profiles()


def pytest_configure() -> None:
    """Keep tests, and the processes they start, away from the user's lake and from services outside."""
    for name in [name for name in os.environ if name.startswith("QUANTLAKE_")]:
        del os.environ[name]
    keys = ("ALPHAVANTAGE_API_KEY", "FRED_API_KEY", "MASSIVE_API_KEY")
    for name in ("REDIS_URL", "MLFLOW_TRACKING_URI", "DAGSTER_HOME", "HTTPS_PROXY", *keys):
        os.environ.pop(name, None)
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__"):  # in a worker: Spark's client ends a process that was started without a file
        main.__file__ = str(Path(__file__).parent / "support" / "worker_main.py")
    os.umask(0o022)  # the usual one, whatever started this process: a closed one would hide what is left open
    paths = [str(Path(__file__).parents[1]), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))  # child processes import `support` as well
    os.environ |= {
        "QUANTLAKE_HOME": tempfile.mkdtemp(prefix="quantlake-tests-"),
        "QUANTLAKE_WORKERS": "1",
        "DAGSTER_TELEMETRY_ENABLED": "false",
        "BENTOML_DO_NOT_TRACK": "true",
        "DO_NOT_TRACK": "1",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",  # workers that each take every core wait for one another most of the time
    }
    # Tests lose no power: that files are flushed is seen by the calls, and waiting for the disk shows nothing more.
    os.fsync = os.fstat  # fails on a wrong descriptor too
    read_settings.cache_clear()


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["QUANTLAKE_HOME"], ignore_errors=True)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Return an empty lake, gone after the test."""
    return Lake(tmp_path / "tables")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return settings with a home of their own, for a busy machine."""
    return Settings(home=tmp_path / "home", online_timeout_ms=8_000)


@pytest.fixture
def home_of_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that the environment names as the home of the platform and of Dagster, until the test ends."""
    home = tmp_path / "home"
    monkeypatch.setenv("QUANTLAKE_HOME", str(home))
    monkeypatch.setenv("DAGSTER_HOME", str(home / "dagster"))  # a run sets it, and would leave it
    read_settings.cache_clear()
    yield home
    read_settings.cache_clear()


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Return a maker of folders that are made once for all workers of a run: ``made_once(name, make)``.

    ``make`` gets the folder to fill, where it stays. It is for reading alone: another worker may read it too.
    """
    base = tmp_path_factory.getbasetemp()
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def once(name: str, make: Callable[[Path], object]) -> Path:
        made, is_whole = run / "made-once" / name, run / "made-once" / f"{name}.whole"
        made.parent.mkdir(exist_ok=True)
        with FileLock(f"{made}.lock"):
            if not is_whole.exists():
                shutil.rmtree(made, ignore_errors=True)
                made.mkdir()
                make(made)
                is_whole.touch()
        return made

    return once


@pytest.fixture(scope="session")
def packaged_lake(made_once: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """Return the real market as known at the close of 2012-12-31. To read only: a test that writes takes the copy."""
    yield from _lake_to_read(made_once("packaged", _ingest_packaged), tmp_path_factory.mktemp("packaged") / "tables")


@pytest.fixture(scope="session")
def featured_lake(
    made_once: Callable[..., Path], packaged_lake: Lake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lake]:
    """Return the real market with every feature table made. To read only."""
    from feature_repo.materialize import update_labels, update_regimes, update_technical, update_windows

    def make(folder: Path) -> None:
        lake = Lake(Path(shutil.copytree(packaged_lake.root, folder, dirs_exist_ok=True)))
        for update in (update_technical, update_labels, update_regimes, update_windows):
            update(lake, FixedClock(DEMO_START))

    yield from _lake_to_read(made_once("featured", make), tmp_path_factory.mktemp("featured") / "tables")


def _ingest_packaged(folder: Path) -> None:
    market, clock = Lake(folder), FixedClock(DEMO_START)
    ingest_bars(market, PackagedMarket(), clock)
    refine_to_lake(market, clock)


def _lake_to_read(source: Path, folder: Path) -> Iterator[Lake]:
    """Give a copy of a lake, and see at the end that nobody has written to it."""
    lake = Lake(Path(shutil.copytree(source, folder)))
    before, folders = lake.versions((RAW_BARS, BARS, ACTIONS)), _tables(lake)
    yield lake
    assert lake.versions((RAW_BARS, BARS, ACTIONS)) == before, f"a test wrote to {folder}; take a copy"
    assert _tables(lake) == folders, f"a test made a table in {folder}; take a copy"


def _tables(lake: Lake) -> list[str]:
    return sorted(path.name for path in lake.root.iterdir() if not path.name.startswith("."))


@pytest.fixture
def packaged_lake_copy(packaged_lake: Lake, tmp_path: Path) -> Lake:
    """Return a copy of the packaged market that a test may write to."""
    return Lake(shutil.copytree(packaged_lake.root, tmp_path / "packaged" / "tables"))
