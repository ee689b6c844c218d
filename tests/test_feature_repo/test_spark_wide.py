"""Spark on a wide market, in a Java process of its own, and killed in the middle."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo.catalog import TECHNICAL
from feature_repo.compute.kernel import Bars, kernel
from feature_repo.engines import FeatureEngine, SparkEngine
from feature_repo.engines.failures import FeatureError
from feature_repo.engines.local import LocalEngine
from feature_repo.engines.sessions import Session, SparkOptions, open_session
from feature_repo.materialize.update import update_group
from feature_repo.spec import Feature, FeatureGroup
from lake.clock import DEMO_START, FixedClock
from lake.report import Report
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

pytest.importorskip("pysail", reason="pysail, the Spark of these tests, is not installed")
pytestmark = pytest.mark.slow
HAS_JAVA = shutil.which("java") is not None
KEY = ["symbol", "event_time"]


@pytest.fixture(scope="module")
def wide_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return 5,000 symbols over a year. To read only."""
    lake = Lake(tmp_path_factory.mktemp("wide") / "tables")
    lake.merge(BARS, tiny_market([*(f"S{number:04d}" for number in range(5_000)), MARKET], 252, seed=5))
    return lake


@pytest.fixture(scope="module")
def jvm() -> Iterator[Session]:
    if not HAS_JAVA:
        pytest.skip("no Java on this machine, which a JVM session of Spark needs")
    with open_session("jvm", SparkOptions(master="local[2]")) as session:
        yield session


@kernel
def refuses_all(price: Bars) -> Bars:
    if price.size > 0:
        raise ValueError("no bar is good enough")
    return price.copy()


def whole(frames: Iterator[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(list(frames)).sort(KEY)


def computed_whole(engine: FeatureEngine, lake: Lake, years: Sequence[int] = ()) -> Report:
    """Update the group as if it had never been: without a stamp everything is computed again."""
    shutil.rmtree(lake.root / ".stamps", ignore_errors=True)
    return update_group(lake, FixedClock(DEMO_START), TECHNICAL, years, engine=engine)


def test_five_thousand_symbols_get_the_same_numbers_on_sail(wide_lake: Lake) -> None:
    here = whole(LocalEngine().compute(wide_lake, TECHNICAL, DEMO_START))
    with open_session("sail") as session:
        there = whole(SparkEngine(session).compute(wide_lake, TECHNICAL, DEMO_START))
    assert here.height == 1_260_000
    assert_frame_equal(there, here, check_exact=True)


def test_five_thousand_symbols_get_the_same_numbers_in_a_jvm(jvm: Session, wide_lake: Lake) -> None:
    assert jvm.reads == "files"
    here = whole(LocalEngine().compute(wide_lake, TECHNICAL, DEMO_START))
    assert_frame_equal(whole(SparkEngine(jvm).compute(wide_lake, TECHNICAL, DEMO_START)), here, check_exact=True)


def test_the_sample_market_gets_the_same_numbers_in_a_jvm(jvm: Session, packaged_lake_copy: Lake) -> None:
    here = whole(LocalEngine().compute(packaged_lake_copy, TECHNICAL, DEMO_START))
    report = computed_whole(SparkEngine(jvm), packaged_lake_copy)
    assert report.added == here.height
    assert_frame_equal(packaged_lake_copy.read(TECHNICAL.table).sort(KEY), here, check_exact=True)


def test_a_failure_in_a_jvm_comes_back_as_one_sentence(jvm: Session, lake: Lake) -> None:
    lake.merge(BARS, tiny_market(["AAA", MARKET], 30, seed=3))
    feature = Feature("refuses_all", refuses_all, ("close",), 1, "", "none", "a feature that fails")
    group = FeatureGroup("refusing", "a feature that fails", (feature,))
    with pytest.raises(FeatureError) as failed:
        whole(SparkEngine(jvm).compute(lake, group, DEMO_START))
    assert str(failed.value).startswith("Feature 'refuses_all' of symbol 'AAA' cannot be computed over its 30 bars: ")
    assert "\n" not in str(failed.value)


def test_killed_between_two_commits_the_next_run_completes_the_table(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "tables")
    lake.merge(BARS, tiny_market(["AAA", "BBB", "CCC", MARKET], 700, seed=5))
    script = """
import os, signal, sys
from pathlib import Path
from feature_repo.catalog import TECHNICAL
from feature_repo.engines import open_engine
from lake.clock import DEMO_START
from lake.store import Lake
lake = Lake(Path(sys.argv[1]))
with open_engine("sail") as engine:
    frames = engine.compute(lake, TECHNICAL, DEMO_START)
    lake.merge(TECHNICAL.table, next(frames))
    next(frames)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script, str(lake.root)], check=False, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    left = lake.root / ".staged" / TECHNICAL.table.name
    assert list(left.iterdir())
    stored = lake.report(TECHNICAL.table).rows
    assert stored
    with open_session("sail") as session:
        report = computed_whole(SparkEngine(session), lake)
        assert report.added == report.rows - stored > 0
        assert computed_whole(SparkEngine(session), lake).added == 0
    assert not left.exists()
    here = whole(LocalEngine().compute(lake, TECHNICAL, DEMO_START))
    assert_frame_equal(lake.read(TECHNICAL.table).sort(KEY), here, check_exact=True)
