"""A training frame read again by its versions: the same bytes after restatement, compaction, vacuum and clean-up."""

from collections.abc import Callable
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo.catalog import FEATURES_TECHNICAL, MODEL_FEATURES, group_of
from feature_repo.feast_store.training_frames import digest_of
from feature_repo.materialize.update import update_group, update_technical
from feature_repo.retrieval import training_frame
from lake.care import clean_log, pin, vacuum
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError, LookAheadError, SchemaError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake

NOW = FixedClock(DEMO_START)
HOUR = timedelta(hours=1)


@pytest.fixture
def made(make_lake: Callable, small_market: Callable) -> Lake:
    lake = make_lake(small_market(120))
    update_technical(lake, NOW)
    return lake


def restate(lake: Lake, times: int) -> None:
    """Say something else of the last ten sessions, one commit after the other."""
    for n in range(1, times + 1):
        rows = lake.read_as_of(FEATURES_TECHNICAL, DEMO_START).filter(pl.col("event_time") == DEMO_START)
        lake.merge(FEATURES_TECHNICAL, rows.with_columns(pl.col("known_time") + n * HOUR, pl.col("rsi_14") / (n + 1)))


def tidy(lake: Lake) -> None:
    """Join files, and delete every file and log entry that nobody needs, as if all were old."""
    lake.compact(FEATURES_TECHNICAL, at_least=2)
    lake.checkpoint(FEATURES_TECHNICAL)
    for step in (vacuum, clean_log):
        step(lake, FEATURES_TECHNICAL, keep=timedelta(0))


def test_a_pinned_frame_keeps_its_bytes(made: Lake, settings: Settings) -> None:
    restate(made, 2)
    before = training_frame(made, settings, clock=NOW)
    pin(made, "model:test", before.versions)
    restate(made, 4)
    tidy(made)
    after = training_frame(made, settings, clock=NOW, versions=before.versions)
    assert after.digest == before.digest
    assert after.versions == before.versions
    assert_frame_equal(after.frame, before.frame, check_exact=True)


def test_a_session_that_is_known_later_is_not_asked_for_yet(made: Lake, settings: Settings) -> None:
    late = made.read_as_of(FEATURES_TECHNICAL, DEMO_START).filter(
        pl.col("symbol") == "AAA", pl.col("event_time") == DEMO_START
    )
    made.merge(FEATURES_TECHNICAL, late.with_columns(pl.lit("NEW").alias("symbol"), pl.col("known_time") + HOUR))
    assert "NEW" not in training_frame(made, settings, clock=NOW).frame["symbol"]


def test_what_nobody_pinned_cannot_be_read_after_the_vacuum(made: Lake, settings: Settings) -> None:
    """The mutant: without the pin the same steps make the old versions unreadable."""
    restate(made, 2)
    before = training_frame(made, settings, clock=NOW)
    restate(made, 4)
    tidy(made)
    with pytest.raises(Exception, match="version"):
        training_frame(made, settings, clock=NOW, versions=before.versions)


def test_an_old_version_does_not_hold_what_was_stored_later(made: Lake, settings: Settings) -> None:
    clock = FixedClock(DEMO_START + timedelta(days=1))
    spine = made.read(FEATURES_TECHNICAL).select("symbol", "event_time").tail(5)
    spine = spine.with_columns(pl.col("event_time") + 3 * HOUR)
    before = training_frame(made, settings, clock=clock, spine=spine)
    restate(made, 1)
    newest = training_frame(made, settings, clock=clock, spine=spine)
    again = training_frame(made, settings, clock=clock, spine=spine, versions=before.versions)
    assert newest.versions == {"features_technical": before.versions["features_technical"] + 1}
    assert (again.digest == before.digest, newest.digest == before.digest) == (True, False)


def test_the_spine_decides_which_rows_and_in_which_order(made: Lake, settings: Settings) -> None:
    stored = made.read(FEATURES_TECHNICAL)
    spine = stored.select("symbol", "event_time").sample(fraction=1, shuffle=True, seed=5).head(40)
    found = training_frame(made, settings, clock=NOW, spine=spine.with_columns(note=pl.lit("is not passed on"))).frame
    expected = spine.join(stored, on=["symbol", "event_time"], how="left", maintain_order="left")
    assert_frame_equal(found, expected.select("symbol", "event_time", *MODEL_FEATURES), check_exact=True)


def test_a_group_can_be_trained_on_by_its_name(made: Lake, settings: Settings) -> None:
    volume = group_of("volume")
    update_group(made, NOW, volume)
    found = training_frame(made, settings, "volume", NOW)
    expected = made.read_as_of(volume.table, DEMO_START).drop("known_time").sort("symbol", "event_time")
    assert_frame_equal(found.frame, expected, check_exact=True)
    assert set(found.versions) == {"features_volume"}


def test_versions_that_a_model_recorded_as_a_whole_may_be_passed(made: Lake, settings: Settings) -> None:
    newest = training_frame(made, settings, clock=NOW)
    again = training_frame(made, settings, clock=NOW, versions=newest.versions | {"labels": 7})
    assert (again.versions, again.digest) == (newest.versions, newest.digest)


def test_what_cannot_be_meant_is_refused_with_the_way_out(made: Lake, settings: Settings) -> None:
    def ask(**how) -> None:
        training_frame(made, settings, clock=NOW, **how)

    with pytest.raises(ConfigError, match=r"name labels, and the frame also reads 'features_technical'"):
        ask(versions={"labels": 1})
    with pytest.raises(UnknownNameError, match=r"no table 'feature_technical'. Did you mean features_technical"):
        ask(versions={"feature_technical": 1})
    with pytest.raises(UnknownNameError, match=r"no training service 'forecast_v9'. Did you mean forecast_v2"):
        ask(service="forecast_v9")
    with pytest.raises(SchemaError, match=r"A spine has the columns symbol .* cast them first"):
        ask(spine=pl.DataFrame({"symbol": ["AAA"]}))
    late = made.read(FEATURES_TECHNICAL).select("symbol", pl.col("event_time") + HOUR)
    with pytest.raises(LookAheadError, match=r"asks at 2012-12-31 22:00:00\+00:00, and the market stands at"):
        ask(spine=late)


def test_the_digest_tells_frames_apart_by_value_null_name_type_and_order_and_by_nothing_else() -> None:
    frame = pl.DataFrame({"a": [1.5, None, 3.0], "b": ["x", None, "z"], "c": [[1.0], None, []]})
    split = pl.concat([frame.head(1), frame.tail(2)], rechunk=False)
    assert digest_of(split) == digest_of(frame.with_columns(pl.col("a") + 0)) == digest_of(frame)
    others = [
        frame.with_columns(a=pl.Series([1.5, 0.0, 3.0])),
        frame.with_columns(b=pl.Series(["x", "", "z"])),
        frame.with_columns(c=pl.Series([[1.0], [], []], dtype=pl.List(pl.Float64))),
        frame.rename({"a": "d"}),
        frame.with_columns(pl.col("a").cast(pl.Float32)),
        frame.reverse(),
    ]
    assert len({digest_of(other) for other in [frame, *others]}) == 7
