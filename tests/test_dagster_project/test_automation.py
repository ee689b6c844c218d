"""The sensor, the schedule and the blocking checks, over a real lake."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from dagster_project.assets.maintenance import table_maintenance
from dagster_project.definitions import defs
from dagster_project.partitions import CHANGED, RANGE_END, RANGE_START, SOURCE
from dagster_project.resources import Platform
from dagster_project.schedules import DELAY, after_the_close, ingest_requests, new_raw_batches
from lake.clock import DEMO_START, SystemClock
from lake.disk import write_durably
from lake.ingest import missing_bars, open_requests, request_ingest
from lake.market import Market
from lake.settings import settings as read_settings
from lake.sources import as_received, tiny_market
from lake.store import Lake
from lake.tables import BARS, RAW_BARS
from serving.deployment import SERVING_FILE

MARKET = tiny_market(["AAPL", "^GSPC"], sessions=8, seed=5)

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Iterator[Lake]:
    monkeypatch.setenv("QUANTLAKE_HOME", str(tmp_path / "home"))
    read_settings.cache_clear()
    yield Lake.open()
    read_settings.cache_clear()


def tick(cursor: str | None, sensor: dg.SensorDefinition = new_raw_batches) -> Any:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            definitions=defs,
            sensor_name=sensor.name,
            resources={"platform": Platform()},
        )
        return sensor.evaluate_tick(context)


@pytest.fixture
def served(home: Lake) -> Lake:
    """A home in which the whole graph has run, as far as the sensor and the schedule look."""
    home.append(RAW_BARS, as_received(MARKET, batch_id="first"), batch_id="first")
    write_durably(read_settings().models / SERVING_FILE, "{}")
    return home


def test_nothing_is_asked_for_before_the_whole_graph_has_run(home: Lake):
    home.append(RAW_BARS, as_received(MARKET, batch_id="first"), batch_id="first")
    waiting = tick(None)
    assert waiting.run_requests == []
    assert "run the job 'everything' first" in waiting.skip_message
    assert isinstance(after_the_close(dg.build_schedule_context(), platform=Platform()), dg.SkipReason)


def test_the_sensor_asks_for_one_run_per_raw_batch(served: Lake):
    first = tick(None)
    (asked,) = first.run_requests
    assert asked.tags[RANGE_START] == "2011"
    assert asked.tags[RANGE_END] == "2012"
    assert tick(first.cursor).run_requests == []
    served.append(RAW_BARS, as_received(MARKET, batch_id="second"), batch_id="second")
    (again,) = tick(first.cursor).run_requests
    assert again.run_key != asked.run_key


@pytest.mark.usefixtures("served")
def test_a_requested_source_becomes_one_run_that_names_it():
    asked = request_ingest(read_settings(), "packaged", "a key")
    first = tick(None, ingest_requests)
    (run,) = first.run_requests
    assert (run.run_key, run.tags[SOURCE], run.tags[CHANGED]) == (f"ingest-{asked.id}", "packaged", "true")
    after_a_crash = tick(None, ingest_requests)  # the look was not kept, so its cursor was not either
    assert [each.run_key for each in after_a_crash.run_requests] == [run.run_key]
    assert request_ingest(read_settings(), "packaged", "a key").id != asked.id  # its run may have asked already
    second = tick(first.cursor, ingest_requests)
    assert [each.run_key for each in second.run_requests] != [run.run_key]
    assert tick(second.cursor, ingest_requests).run_requests == []
    assert open_requests(read_settings()) == []


def test_no_request_is_lost_before_the_whole_graph_has_run(home: Lake):
    asked = request_ingest(read_settings(), "packaged", "a key")
    assert "run the job 'everything' first" in tick(None, ingest_requests).skip_message
    assert open_requests(read_settings()) == [asked]


@pytest.mark.usefixtures("served")
def test_the_schedule_asks_for_this_year_and_the_one_before():
    request = after_the_close(dg.build_schedule_context(), platform=Platform())
    assert request.tags == {RANGE_START: "2011", RANGE_END: "2012", CHANGED: "true"}
    assert request.run_key == f"close-{DEMO_START:%Y%m%dT%H%M}"


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("now", "close", "attempt"),
    [
        (datetime(2024, 7, 3, 17, 29, tzinfo=UTC), datetime(2024, 7, 2, 20, tzinfo=UTC), "-8"),  # half day to 17:00
        (datetime(2024, 7, 3, 17, 30, tzinfo=UTC), datetime(2024, 7, 3, 17, tzinfo=UTC), ""),
        (datetime(2024, 7, 3, 17, 44, tzinfo=UTC), datetime(2024, 7, 3, 17, tzinfo=UTC), ""),
        (datetime(2024, 7, 3, 17, 45, tzinfo=UTC), datetime(2024, 7, 3, 17, tzinfo=UTC), "-2"),
        (datetime(2024, 7, 4, 22, 0, tzinfo=UTC), datetime(2024, 7, 3, 17, tzinfo=UTC), "-8"),  # a holiday
        (datetime(2024, 7, 7, 12, 0, tzinfo=UTC), datetime(2024, 7, 5, 20, tzinfo=UTC), "-8"),  # a Sunday
    ],
)
def test_a_live_market_is_updated_after_each_close_a_bounded_number_of_times(
    home: Lake, monkeypatch: pytest.MonkeyPatch, now: datetime, close: datetime, attempt: str
):
    Market("desk", first_year=2020).write(home.root.parent)
    monkeypatch.setattr(SystemClock, "now", lambda _: now)
    request = after_the_close(dg.build_schedule_context(), platform=Platform())
    assert request.run_key == f"close-{close:%Y%m%dT%H%M}{attempt}"
    assert request.tags == {RANGE_START: "2023", RANGE_END: "2024", CHANGED: "true"}


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("source", "first"), [("yahoo", timedelta(minutes=30)), ("polygon", timedelta(hours=11)), ("packaged", DELAY)]
)
def test_a_close_is_asked_for_from_the_sources_declared_delay_on(
    home: Lake, monkeypatch: pytest.MonkeyPatch, source: str, first: timedelta
):
    Market("desk", source=source, first_year=2020).write(home.root.parent)
    close = datetime(2024, 7, 2, 20, tzinfo=UTC)
    keys = []
    for now in (close + first - timedelta(minutes=1), close + first):
        monkeypatch.setattr(SystemClock, "now", lambda _, now=now: now)
        keys.append(after_the_close(dg.build_schedule_context(), platform=Platform()).run_key)
    assert keys == ["close-20240701T2000-8", "close-20240702T2000"]


@pytest.mark.usefixtures("served")
def test_a_close_is_asked_for_until_every_symbol_of_the_session_before_has_its_bar(
    home: Lake, monkeypatch: pytest.MonkeyPatch
):
    Market("desk", first_year=2011, decision_delay=60).write(home.root.parent)
    closes = MARKET["event_time"].unique().sort()
    close, symbols = closes[-1], MARKET["symbol"].unique().sort()
    is_last = pl.col("event_time") == close

    def key_at(minutes: int) -> str:
        monkeypatch.setattr(SystemClock, "now", lambda _: close + timedelta(minutes=minutes))
        asked = after_the_close(dg.build_schedule_context(), platform=Platform())
        return asked.skip_message if isinstance(asked, dg.SkipReason) else asked.run_key

    stem = f"close-{close:%Y%m%dT%H%M}"
    home.merge(BARS, MARKET.filter(~is_last))
    assert key_at(45) == f"{stem}-2", "no bar of the session is there"
    home.merge(BARS, MARKET.filter(is_last & (pl.col("symbol") != symbols[0])))
    assert missing_bars(home, close) == [symbols[0]]
    assert key_at(45) == f"{stem}-2", "one is missing"
    home.merge(BARS, MARKET.filter(is_last))
    assert key_at(45) == f"The bars of {close:%Y-%m-%d %H:%M} UTC are stored."
    assert key_at(60) == f"{stem}-decided", "the session is decided, and no model has forecast it"


@pytest.mark.parametrize("is_bad", [False, True])
def test_a_table_that_fails_its_suite_stops_what_is_downstream(home: Lake, is_bad: bool):
    bars = MARKET.with_columns(pl.lit(-1.0).alias("volume")) if is_bad else MARKET
    home.append(RAW_BARS, as_received(MARKET, batch_id="good"), batch_id="good")
    home.merge(BARS, bars.filter(symbol="AAPL").with_columns(pl.lit("AMZN").alias("symbol")))
    names = ["bars", "actions", "quarantine", "symbols", "universe", "features_technical"]
    with dg.DagsterInstance.ephemeral() as instance:
        result = defs.resolve_job_def("everything").execute_in_process(
            instance=instance,
            tags={RANGE_START: "2012", RANGE_END: "2012"},
            asset_selection=[dg.AssetKey(name) for name in names],
            raise_on_error=False,
            run_config={"loggers": {"progress": {}}},
        )
        made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
        checks = result.get_asset_check_evaluations()
        verdicts = {check.check_name: check.passed for check in checks if check.asset_key == dg.AssetKey("bars")}
    assert result.success is not is_bad
    assert verdicts["within_bounds"] is not is_bad
    assert verdicts["no_nulls"], "a rule of another kind holds as before"
    assert ("features_technical" in made) is not is_bad


def test_maintenance_joins_small_files_and_every_row_stays(home: Lake):
    for bar in MARKET.head(20).iter_slices(1):
        home.merge(BARS, bar)
    files = len(home.files(BARS))
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize([table_maintenance], resources={"platform": Platform()}, instance=instance).success
    assert len(home.files(BARS)) < files
    assert_frame_equal(home.read(BARS), MARKET.head(20), check_row_order=False)
