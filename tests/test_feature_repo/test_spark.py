"""Spark computes what this process computes, bit for bit, and stores it by the same rules."""

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo.catalog import GROUPS, TECHNICAL
from feature_repo.compute.kernel import Bars, kernel
from feature_repo.engines import FeatureEngine, SparkEngine
from feature_repo.engines.failures import FeatureError
from feature_repo.engines.local import LocalEngine
from feature_repo.engines.sessions import Session, open_session
from feature_repo.materialize.update import update_group, update_technical
from feature_repo.spec import Feature, FeatureGroup
from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError
from lake.report import Report
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET

pytest.importorskip("pysail", reason="pysail, the Spark of these tests, is not installed")

SYMBOLS = ("AAA", "BBB", "CCC", "O'NEIL", "Å B", MARKET)
KEY = ["symbol", "event_time"]


@pytest.fixture(scope="module")
def sail() -> Iterator[Session]:
    with open_session("sail") as session:
        yield session


@pytest.fixture(scope="module")
def small_lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return six symbols over parts of three years. To read only."""
    lake = Lake(tmp_path_factory.mktemp("small") / "tables")
    lake.merge(BARS, tiny_market(SYMBOLS, 460, seed=3))
    return lake


@pytest.fixture
def own_lake(small_lake: Lake, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(small_lake.root, tmp_path / "tables"))


@pytest.fixture(scope="module")
def sample_lake(packaged_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return Lake(shutil.copytree(packaged_lake.root, tmp_path_factory.mktemp("sample") / "tables"))


@kernel
def refuses(price: Bars, largest: float) -> Bars:
    out = np.full(price.size, np.nan)
    for t in range(price.size):
        if price[t] > largest:
            raise ValueError("a price is too large")
        out[t] = price[t]
    return out


def refusing(largest: float) -> FeatureGroup:
    feature = Feature("refuses", refuses, ("close",), 1, "currency", "P_t", "the close", parameters=(largest,))
    return FeatureGroup("refusing", "a feature that fails on one symbol", (feature,))


def whole(frames: Iterator[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(list(frames)).sort(KEY)


def local(lake: Lake, group: FeatureGroup = TECHNICAL, at: datetime = DEMO_START) -> pl.DataFrame:
    return whole(LocalEngine().compute(lake, group, at))


@pytest.mark.parametrize(
    "group",
    [group if group is TECHNICAL else pytest.param(group, marks=pytest.mark.slow) for group in GROUPS],
    ids=lambda group: group.name,
)
def test_the_sample_market_gets_the_same_numbers_on_spark(
    sail: Session, sample_lake: Lake, group: FeatureGroup
) -> None:
    here, there = local(sample_lake, group), whole(SparkEngine(sail).compute(sample_lake, group, DEMO_START))
    assert here.height > 10_000
    assert_frame_equal(there, here, check_exact=True)


@pytest.mark.parametrize("reads", ["delta", "files"])
@pytest.mark.parametrize("buckets", [1, 3, 40])
def test_the_number_of_buckets_and_the_way_to_read_change_nothing(
    sail: Session, small_lake: Lake, reads: str, buckets: int
) -> None:
    engine = SparkEngine(Session(sail.spark, "sail", reads), buckets=buckets)  # type: ignore[arg-type]
    assert_frame_equal(whole(engine.compute(small_lake, TECHNICAL, DEMO_START)), local(small_lake), check_exact=True)


def test_a_folder_may_have_a_space_and_an_accent_in_its_name(sail: Session, small_lake: Lake, tmp_path: Path) -> None:
    odd = Lake(shutil.copytree(small_lake.root, tmp_path / "läke of ours"))
    assert_frame_equal(whole(SparkEngine(sail).compute(odd, TECHNICAL, DEMO_START)), local(odd), check_exact=True)


def test_spark_sees_what_was_known_at_the_instant_and_in_the_version(sail: Session, own_lake: Lake) -> None:
    engine, later = SparkEngine(sail), DEMO_START + timedelta(days=3)
    before, version = local(own_lake), own_lake.version(BARS)
    bars = own_lake.read_as_of(BARS, DEMO_START)
    restated = (
        bars.filter(pl.col("symbol") == "AAA")
        .tail(40)
        .with_columns(
            pl.col("close", "open", "high", "low") * 1.01,
            pl.lit(later).cast(pl.Datetime("us", "UTC")).alias("known_time"),
        )
    )
    index = (
        bars.filter(pl.col("symbol") == MARKET)
        .tail(5)
        .with_columns(
            pl.col("close", "open", "high", "low") * 0.99,
            pl.lit(later).cast(pl.Datetime("us", "UTC")).alias("known_time"),
        )
    )
    own_lake.merge(BARS, pl.concat([restated, index]))
    after = local(own_lake, at=later)
    assert not after.equals(before)
    for at, known, pinned in ((DEMO_START, before, None), (later, after, None), (later, before, version)):
        there = whole(engine.compute(own_lake, TECHNICAL, at, version=pinned))
        assert_frame_equal(there, known, check_exact=True)


def test_a_market_without_its_index_and_an_empty_one(sail: Session, lake: Lake) -> None:
    lake.merge(BARS, BARS.empty())
    assert list(SparkEngine(sail).compute(lake, TECHNICAL, DEMO_START)) == []
    lake.merge(BARS, tiny_market(["AAA", "BBB"], 60, seed=3))
    there = whole(SparkEngine(sail).compute(lake, TECHNICAL, DEMO_START))
    assert_frame_equal(there, local(lake), check_exact=True)
    assert there["market_beta_60d" if "market_beta_60d" in there.columns else there.columns[-1]].len() == 120


def test_frames_are_small_and_share_no_key(sail: Session, small_lake: Lake) -> None:
    engine = SparkEngine(sail, buckets=4, rows_at_once=200)
    frames = list(engine.compute(small_lake, TECHNICAL, DEMO_START))
    assert len(frames) > 3
    assert all(frame["event_time"].dt.year().n_unique() == 1 for frame in frames)
    together = pl.concat(frames)
    assert together.select(KEY).is_unique().all()
    assert_frame_equal(together.sort(KEY), local(small_lake), check_exact=True)


def computed_whole(engine: FeatureEngine, lake: Lake, years: Sequence[int] = ()) -> Report:
    """Update the group as if it had never been: without a stamp everything is computed again."""
    shutil.rmtree(lake.root / ".stamps", ignore_errors=True)
    return update_group(lake, FixedClock(DEMO_START), TECHNICAL, years, engine=engine)


def test_what_spark_computed_is_stored_once_and_as_this_process_stores_it(
    sail: Session, own_lake: Lake, tmp_path: Path
) -> None:
    other = Lake(shutil.copytree(own_lake.root, tmp_path / "other"))
    update_technical(other, FixedClock(DEMO_START))
    first = computed_whole(SparkEngine(sail), own_lake)
    assert first.added == first.rows == other.report(TECHNICAL.table).rows
    assert_frame_equal(
        own_lake.read(TECHNICAL.table).sort(KEY), other.read(TECHNICAL.table).sort(KEY), check_exact=True
    )
    again = computed_whole(SparkEngine(sail, buckets=2), own_lake)
    assert (again.added, again.version) == (0, first.version)
    assert computed_whole(SparkEngine(sail), other).added == 0


def test_only_the_years_asked_for_are_stored(sail: Session, own_lake: Lake) -> None:
    report = computed_whole(SparkEngine(sail), own_lake, years=[2011])
    assert report.first is not None
    assert report.last is not None
    assert (report.first.year, report.last.year) == (2011, 2011)


def test_a_run_that_was_cut_off_is_completed_by_the_next(sail: Session, own_lake: Lake) -> None:
    table, engine = TECHNICAL.table, SparkEngine(sail)
    frames = engine.compute(own_lake, TECHNICAL, DEMO_START)
    part = own_lake.merge(table, next(frames))
    frames.close()
    left = own_lake.root / ".staged" / table.name
    assert not left.exists()
    left.mkdir()
    (left / "2011-of-a-killed-run.parquet").write_bytes(b"half a file")
    report = computed_whole(engine, own_lake)
    assert report.added == report.rows - part.rows
    assert_frame_equal(own_lake.read(table).sort(KEY), local(own_lake), check_exact=True)
    assert not left.exists()


def test_two_runs_over_one_table_do_not_meet(sail: Session, own_lake: Lake) -> None:
    frames = SparkEngine(sail).compute(own_lake, TECHNICAL, DEMO_START)
    next(frames)
    with pytest.raises(NotReadyError, match="Another run computes 'features_technical'"):
        next(SparkEngine(sail).compute(own_lake, TECHNICAL, DEMO_START))
    assert sum(frame.height for frame in frames) > 0


def test_a_failure_on_a_worker_comes_back_as_one_sentence_with_the_symbol(sail: Session, own_lake: Lake) -> None:
    bars = own_lake.read_as_of(BARS, DEMO_START)
    dear = bars.filter(pl.col("symbol") != MARKET).group_by("symbol").agg(pl.col("close").max()).sort("close")
    limit, symbol = float(dear["close"][-2]) + 1e-9, dear["symbol"][-1]
    for engine in (SparkEngine(sail), LocalEngine()):
        with pytest.raises(FeatureError) as failed:
            whole(engine.compute(own_lake, refusing(limit), DEMO_START))
        said = str(failed.value)
        assert said == (
            f"Feature 'refuses' of symbol '{symbol}' cannot be computed over its 460 bars: ValueError: a price is too "
            "large. See that symbol's bars, or the function 'refuses'."
        )
    assert not (own_lake.root / ".staged" / "features_refusing").exists()
    there = whole(SparkEngine(sail).compute(own_lake, refusing(1e9), DEMO_START))
    assert_frame_equal(there, local(own_lake, refusing(1e9)), check_exact=True)


def test_a_failure_of_spark_itself_names_the_session(small_lake: Lake) -> None:
    with open_session("sail") as ended:
        pass
    with pytest.raises(FeatureError, match=r"^Spark \(sail\) did not compute the features 'technical': .*=local "):
        list(SparkEngine(ended).compute(small_lake, TECHNICAL, DEMO_START))
