"""What the read path believes of the views is what Feast is told, and it can be told without importing Feast."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from redis import Redis

from feature_repo import retrieval
from feature_repo.feast_store.online_store import KINDS, entity_keys, entity_name, layout_of
from feature_repo.online import rows
from feature_repo.online.generations import Generation, read_generation, row_key
from feature_repo.online.packing import kind_of
from feature_repo.online.reader import OnlineReader
from feature_repo.online.redis_server import connect, embedded_url, running_redis
from feature_repo.online.rows import newest_rows
from feature_repo.online.seals import OnlineKey
from feature_repo.online.views import A_WEEK, REGIME, STRATEGY, VIEWS, WINDOW, OnlineView, oldest_current, view_named
from feature_repo.retrieval import feature_store, materialize, online
from feature_repo.targets.windows import FORECAST_V2
from lake.clock import ReplayClock
from lake.errors import SchemaError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import STRATEGY_ASSIGNMENTS
from lake.universe import MARKET
from support.online import AT, DAY, SYMBOLS, close_of, emptied, store_generation

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = Settings(home=tmp_path_factory.mktemp("server"))
    with running_redis(server):
        yield embedded_url(server)


@pytest.fixture
def home(settings: Settings, url: str) -> Settings:
    settings.feast.mkdir(parents=True)
    (settings.feast / "registry.db").touch()
    return settings.model_copy(update={"redis_url": url, "online_timeout_ms": 20_000})


@pytest.fixture
def redis(url: str) -> Iterator[Redis]:
    with connect(url, 20.0) as client:
        emptied(client)
        yield client


def test_the_views_are_those_that_feast_is_told() -> None:
    from feature_repo.feast_store import views

    declared = {view.name: view for view in views.VIEWS if view.online}
    assert set(declared) == {view.name for view in VIEWS}
    for view in VIEWS:
        told = declared[view.name]
        assert layout_of(told).columns == view.layout.columns
        assert (told.join_keys, told.ttl) == ([view.entity], view.ttl)
        assert told.batch_source.spec is view.table


def test_an_unknown_view_is_named_with_the_nearest() -> None:
    assert view_named(WINDOW.name) is WINDOW
    with pytest.raises(UnknownNameError, match="strategy"):
        view_named("strateg")


@pytest.mark.parametrize("module", ["feature_repo.online", "feature_repo.retrieval", "feature_repo.online.rows"])
def test_neither_reading_nor_writing_imports_feast(module: str) -> None:
    code = f"import sys, {module}; assert not {{'feast', 'torch', 'pandas', 'numba'}} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def differences(home: Settings, redis: Redis) -> int:
    """Materialise again and again, and count the rows that are not those of the lake as known at that time.

    Rows come late, come again corrected, or are stored before they are known, in any order.
    """
    random = np.random.default_rng(5)
    lake, until, different = Lake.open(home), AT, 0
    for _ in range(12):
        names = random.choice(SYMBOLS, size=random.integers(1, 6), replace=False).tolist()
        at = until + int(random.integers(-3, 2)) * DAY
        known = at + int(random.integers(0, 60)) * HOUR
        lake.merge(STRATEGY_ASSIGNMENTS, assignments(names, at, known, mark=random.uniform()))
        until += int(random.integers(0, 2)) * DAY
        materialize(lake, home, until)
        expected = newest_rows(lake, STRATEGY, until, lake.version(STRATEGY_ASSIGNMENTS))
        found = online_marks(redis, expected["symbol"].to_list())
        different += sum(a != b for a, b in zip(found, expected["confidence"].to_list(), strict=True))
    assert read_generation(redis, OnlineKey.of(home)).until == until
    return different


def test_a_materialisation_of_what_is_new_leaves_what_a_full_one_would(
    home: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    fully: list[int] = []

    def watched(lake: Lake, view: OnlineView, until: datetime, version: int | None) -> pl.DataFrame:
        fully.append(version is not None)
        return newest_rows(lake, view, until, version)

    monkeypatch.setattr(rows, "newest_rows", watched)
    assert differences(home, redis) == 0
    assert sum(fully) == 1, "every materialisation but the first reads only what is new"


def test_without_rows_that_were_stored_before_they_were_known_it_would_not(
    home: Settings, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant."""

    def added_only(
        lake: Lake, view: OnlineView, until: datetime, version: int | None, last: Generation | None
    ) -> pl.DataFrame:
        if last is None or version is None or view.table.name not in last.versions:
            return newest_rows(lake, view, until, version)
        added = view.narrow(lake.changes(view.table, last.versions[view.table.name], version).lazy())
        return rows._newest(rows._as_known(added, until).collect(), view)

    monkeypatch.setattr("feature_repo.online.rows_since", added_only)
    assert differences(home, redis) > 0


def assignments(names: list[str], at: datetime, known: datetime, mark: float) -> pl.DataFrame:
    rows = [(name, at, known, "low_volatility_uptrend", "lstm", ["lstm"], [1.0], mark) for name in names]
    return pl.DataFrame(rows, schema=STRATEGY_ASSIGNMENTS.schema, orient="row")


def online_marks(redis: Redis, names: list[str]) -> list[float | None]:
    mark = STRATEGY.layout.getter("confidence")
    found = [redis.get(row_key(STRATEGY.name, name)) for name in names]
    return [None if value is None else mark(value) for value in found]


def test_a_later_materialisation_is_not_taken_back_by_an_earlier_one(home: Settings, redis: Redis) -> None:
    lake = Lake.open(home)
    store_generation(lake, 0)
    materialize(lake, home, store_generation(lake, 1))
    assert materialize(lake, home, close_of(0)).skipped
    assert read_generation(redis, OnlineKey.of(home)).until == close_of(1)


def test_symbols_can_be_asked_for_in_one_line(home: Settings, redis: Redis) -> None:
    lake = Lake.open(home)
    materialize(lake, home, store_generation(lake, 0))
    ReplayClock(home.home / "clock.json").move_to(close_of(8))
    batch = online(["S1", "S0"], settings=home)
    retrieval._reader(home, FORECAST_V2).close()
    assert (batch.symbols, batch.source) == (["S1", "S0"], "redis")
    assert batch.event_age == [8 * DAY] * 2
    assert WINDOW.name in batch.expired[0]


def test_one_row_comes_with_every_column_of_its_view(home: Settings, redis: Redis) -> None:
    lake = Lake.open(home)
    at = store_generation(lake, 0)
    materialize(lake, home, at)
    reader = OnlineReader(home)
    for view, name in ((STRATEGY.name, "S1"), (REGIME.name, MARKET)):
        declared = view_named(view)
        rows = newest_rows(lake, declared, at, lake.version(declared.table))
        expected = rows.filter(pl.col(declared.entity) == name).row(0, named=True)
        row = reader.row(view, name)
        assert row is not None
        said = {column: list(value) if isinstance(value, np.ndarray) else value for column, value in row.values.items()}
        assert said == {column: expected[column] for column, _ in declared.layout.columns}
        assert (row.as_of, row.known_time) == (expected["event_time"], expected["known_time"])
    assert reader.row(STRATEGY.name, "NOPE") is None
    reader.close()


def test_through_feast_an_expired_row_is_not_found_and_says_its_time(
    settings: Settings, redis: Redis, url: str
) -> None:
    from feast.protos.feast.serving.ServingService_pb2 import FieldStatus

    home = settings.model_copy(update={"redis_url": url})
    lake = Lake.open(home)
    materialize(lake, home, store_generation(lake, 0))
    store = feature_store(home, url=url)
    clock = ReplayClock(home.home / "clock.json")
    store.config.online_store.clock = str(clock.path)
    clock.move_to(close_of(0))
    for days, status in ((0, FieldStatus.PRESENT), (8, FieldStatus.NOT_FOUND)):
        clock.move_to(close_of(days))
        answer = store.get_online_features([f"{WINDOW.name}:reference_price"], [{"symbol": "S1"}]).proto
        (found,) = [result for result in answer.results if result.event_timestamps[0].seconds]
        assert found.statuses[0] == status
        assert found.event_timestamps[0].ToDatetime(tzinfo=UTC) == close_of(0)


def test_a_view_of_anyones_can_be_packed_or_is_refused_by_name() -> None:
    from feast import FeatureView, Field, FileSource
    from feast.types import Array, Bool, Int32, UnixTimestamp, from_value_type

    source = FileSource(path="nowhere.parquet", timestamp_field="at")
    every = [Field(name=kind.name, dtype=from_value_type(kind)) for kind in KINDS]
    kinds = dict(layout_of(FeatureView(name="every", entities=[], schema=every, source=source)).columns)
    assert kinds[UnixTimestamp.to_value_type().name] == kind_of(pl.Datetime("us", "UTC"))
    assert kinds[Int32.to_value_type().name] == "i4"
    odd = FeatureView(name="odd", entities=[], schema=[Field(name="flags", dtype=Array(Bool))], source=source)
    with pytest.raises(SchemaError, match=r"'flags' of view 'odd' is a BOOL_LIST.*cannot pack"):
        layout_of(odd)


def test_keys_of_several_parts_or_of_numbers_are_told_apart(settings: Settings, url: str) -> None:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    config = feature_store(settings, url=url).config
    (plain,) = entity_keys("symbol", ["KO"])
    number = EntityKey(join_keys=["symbol"], entity_values=[Value(int64_val=7)])
    pair = EntityKey(join_keys=["a", "b"], entity_values=[Value(string_val="KO"), Value(string_val="x")])
    names = [entity_name(config, key) for key in (plain, number, pair)]
    assert names[0] == "KO"
    assert len(set(names)) == 3


@pytest.mark.parametrize(
    ("calendar", "event", "now", "is_current"),
    [
        # Tokyo was closed from 27 April to 6 May 2019.
        ("XTKS", datetime(2019, 4, 26, 6, tzinfo=UTC), datetime(2019, 5, 7, 5, tzinfo=UTC), True),
        ("XTKS", datetime(2019, 4, 26, 6, tzinfo=UTC), datetime(2019, 5, 13, 5, tzinfo=UTC), True),
        ("XTKS", datetime(2019, 4, 26, 6, tzinfo=UTC), datetime(2019, 5, 13, 6, tzinfo=UTC), False),
        ("XNYS", datetime(2012, 10, 15, 20, tzinfo=UTC), datetime(2012, 10, 22, 20, tzinfo=UTC), True),
        ("XNYS", datetime(2012, 10, 15, 20, tzinfo=UTC), datetime(2012, 10, 22, 20, 1, tzinfo=UTC), False),
        ("24/7", datetime(2012, 10, 15, tzinfo=UTC), datetime(2012, 10, 22, tzinfo=UTC), True),
        ("24/7", datetime(2012, 10, 15, tzinfo=UTC), datetime(2012, 10, 22, 0, 1, tzinfo=UTC), False),
    ],
)
def test_a_value_is_good_for_a_week_and_for_the_sessions_of_the_calendar(
    calendar: str, event: datetime, now: datetime, is_current: bool
) -> None:
    assert (event >= oldest_current(A_WEEK, now, calendar)) is is_current
