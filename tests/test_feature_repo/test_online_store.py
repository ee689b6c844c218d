"""The online store: a real Redis, read within a deadline, equal to the lake bit for bit."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.feast_store.delta_source import KNOWN_TIME_US
from feature_repo.feast_store.online_store import EmbeddedRedisOnlineStore, entity_keys
from feature_repo.materialize.update import update_regimes, update_technical, update_windows
from feature_repo.online.answers import OnlineBatch
from feature_repo.online.generations import row_key
from feature_repo.online.redis_server import connect, running_redis
from feature_repo.online.seals import SEAL_BYTES
from feature_repo.retrieval import HOLDER, OnlineReader, apply, feature_store, materialize
from feature_repo.targets.windows import FORECAST_V2, WindowSpec, window_hash
from lake.care import pins_in_use
from lake.clock import DEMO_START, FixedClock, ReplayClock
from lake.errors import LookAheadError, NotReadyError, OnlineStoreError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import MARKET, SYMBOLS
from support.online import emptied

HOUR = timedelta(hours=1)


@pytest.fixture
def redis(settings: Settings) -> Iterator[str]:
    with running_redis(settings) as url:
        yield url


@pytest.fixture
def small_lake(make_lake: Callable, small_market: Callable) -> Lake:
    lake = make_lake(small_market(320))
    update_served(lake, DEMO_START)
    return lake


def update_served(lake: Lake, now: datetime) -> None:
    for update in (update_technical, update_regimes, update_windows):
        update(lake, FixedClock(now))


def assign(lake: Lake, at: datetime, symbols: list[str]) -> pl.DataFrame:
    """Store an assignment for symbols; values differ by symbol so that a mix-up would show."""
    rows = [
        (
            symbol,
            at,
            at,
            "low_volatility_uptrend",
            "lstm",
            ["naive", "lstm"],
            [0.25 - n / 1000, 0.75 + n / 1000],
            0.5 + n / 100,
        )
        for n, symbol in enumerate(symbols)
    ]
    frame = pl.DataFrame(rows, schema=STRATEGY_ASSIGNMENTS.schema, orient="row")
    lake.merge(STRATEGY_ASSIGNMENTS, frame)
    return frame


def offline_windows(lake: Lake, at: datetime) -> dict[str, dict]:
    newest = lake.read_as_of(MODEL_WINDOWS, at).sort("event_time").unique("symbol", keep="last")
    return {row["symbol"]: row for row in newest.iter_rows(named=True)}


def assert_same_as_offline(batch: OnlineBatch, lake: Lake, at: datetime) -> None:
    offline = offline_windows(lake, at)
    assert batch.symbols == sorted(offline)
    for n, symbol in enumerate(batch.symbols):
        row = offline[symbol]
        stored = np.array(row["window"], dtype=np.float32).reshape(FORECAST_V2.shape)
        assert batch.window[n].tobytes() == stored.tobytes(), symbol
        assert batch.feature_hash[n] == row["feature_hash"] == window_hash(batch.window[n])
        assert batch.reference_price[n] == row["reference_price"]
        assert batch.as_of[n] == row["event_time"]
        assert batch.table_versions[n] == {"bars": 0, "features_technical": 0} or lake.version(FEATURES_TECHNICAL) > 0


def online_rows(settings: Settings, url: str, view: str, key: str, names: list[str]) -> list[dict]:
    """What Feast's own online read says, as Python values; absent for a null."""
    store = feature_store(settings, url=url)
    found = EmbeddedRedisOnlineStore().online_read(store.config, store.get_feature_view(view), entity_keys(key, names))
    return [
        {name: getattr(value, kind) for name, value in values.items() if (kind := value.WhichOneof("val"))}
        | {"event_time": at}
        for at, values in found
    ]


def test_online_equals_offline_bit_for_bit_for_every_symbol(
    featured_lake: Lake, settings: Settings, redis: str, tmp_path
) -> None:
    report = materialize(featured_lake, settings, DEMO_START)
    assert (report.rows, report.skipped) == (25, False)
    reader = OnlineReader(settings)
    assert tuple(reader.symbols()) == SYMBOLS
    assert_same_as_offline(reader.read(list(SYMBOLS)), featured_lake, DEMO_START)

    technical = featured_lake.read_as_of(FEATURES_TECHNICAL, DEMO_START, where=pl.col("event_time") == DEMO_START)
    online = online_rows(settings, redis, "technical", "symbol", list(SYMBOLS))
    for row, held in zip(technical.sort("symbol").iter_rows(named=True), online, strict=True):
        known = {
            name: value for name, value in row.items() if name not in {"symbol", "known_time"} and value is not None
        }
        assert held.pop(KNOWN_TIME_US) == int(row["known_time"].timestamp() * 1e6)
        assert held == known, row["symbol"]

    regime = featured_lake.read_as_of(REGIMES, DEMO_START).row(-1, named=True)
    (held,) = online_rows(settings, redis, "regime", "market", [MARKET])
    assert held.pop(KNOWN_TIME_US) == int(regime.pop("known_time").timestamp() * 1e6)
    assert held | {"market": MARKET} == regime
    assert reader.read(["AAPL"]).regime == regime["regime"]


def test_feasts_own_online_read_gives_the_same_window(small_lake: Lake, settings: Settings, redis: str) -> None:
    assign(small_lake, DEMO_START, ["AAA", "BBB"])
    materialize(small_lake, settings, DEMO_START)
    store = feature_store(settings, url=redis)
    answer = store.get_online_features(
        store.get_feature_service("forecast_v2"), [{"symbol": "BBB", "market": MARKET}]
    ).to_dict()
    batch = OnlineReader(settings).read(["BBB"])
    np.testing.assert_array_equal(np.float32(answer["window"][0]).reshape(FORECAST_V2.shape), batch.window[0])
    assert answer["feature_hash"] == batch.feature_hash
    assert answer["weights"] == batch.weights == [[0.249, 0.751]]
    assert answer["regime"] == [batch.regime]


def test_one_read_gives_window_regime_and_strategy_in_the_order_asked(
    small_lake: Lake, settings: Settings, redis: str
) -> None:
    assign(small_lake, DEMO_START, ["AAA"])
    materialize(small_lake, settings, DEMO_START)
    batch = OnlineReader(settings).read(["BBB", "NOPE", "AAA"])
    assert (batch.symbols, batch.missing, len(batch)) == (["BBB", "AAA"], ["NOPE"], 2)
    offline = offline_windows(small_lake, DEMO_START)
    assert batch.feature_hash == [offline[symbol]["feature_hash"] for symbol in ("BBB", "AAA")]
    assert batch.selected_strategy == [None, "lstm"]
    assert (batch.strategies, batch.weights) == ([[], ["naive", "lstm"]], [[], [0.25, 0.75]])
    assert batch.confidence == [None, 0.5]


def test_a_store_that_holds_nothing_is_no_store_without_symbols(settings: Settings, redis: str) -> None:
    reader = OnlineReader(settings)
    for ask in (lambda: reader.read(["AAPL"]), reader.symbols):
        with pytest.raises(NotReadyError, match=r"Redis is empty.*make demo"):
            ask()


def test_symbols_that_nobody_materialised_are_missing(small_lake: Lake, settings: Settings, redis: str) -> None:
    materialize(small_lake, settings, DEMO_START)
    reader = OnlineReader(settings)
    batch = reader.read(["AAPL"])
    assert (batch.missing, batch.symbols) == (["AAPL"], [])
    assert batch.window.shape == (0, *FORECAST_V2.shape)
    assert len(reader.read([])) == 0


def test_a_window_of_another_size_is_missing_and_not_misread(small_lake: Lake, settings: Settings, redis: str) -> None:
    materialize(small_lake, settings, DEMO_START)
    shorter = WindowSpec(FORECAST_V2.name, FORECAST_V2.features, FORECAST_V2.sessions - 1)
    assert OnlineReader(settings, shorter).read(["AAA"]).missing == ["AAA"]


def restate(lake: Lake, at: datetime) -> None:
    """Correct the last close of AAA an hour later; its event time stays."""
    from lake.tables import BARS

    bad = lake.read(BARS).filter(pl.col("symbol") == "AAA", pl.col("event_time") == DEMO_START)
    lake.merge(BARS, bad.with_columns(pl.col("close") * 1.02, pl.lit(at).alias("known_time")))
    update_served(lake, at)


def test_after_a_restatement_online_equals_offline_again(small_lake: Lake, settings: Settings, redis: str) -> None:
    materialize(small_lake, settings, DEMO_START)
    reader = OnlineReader(settings)
    before = reader.read(["AAA", "BBB"])
    restate(small_lake, DEMO_START + HOUR)
    assert not materialize(small_lake, settings, DEMO_START + HOUR).skipped
    after = reader.read(["AAA", "BBB"])
    assert_same_as_offline(after, small_lake, DEMO_START + HOUR)
    assert after.as_of == before.as_of
    assert after.feature_hash[0] != before.feature_hash[0]
    assert after.feature_hash[1] == before.feature_hash[1]


def packed_rows(url: str) -> dict[bytes, bytes]:
    """Every packed row, without the generation that wrote it."""
    with connect(url, 20.0) as server:
        keys = sorted(key for key in server.scan_iter() if b"#" not in key)
        return {key: value[:32] + value[40:-SEAL_BYTES] for key, value in zip(keys, server.mget(keys), strict=True)}


@pytest.mark.parametrize("command", ["materialize", "materialize_incremental"])
def test_feast_materialises_nothing_that_is_later_than_the_markets_now(
    small_lake: Lake, settings: Settings, redis: str, command: str
) -> None:
    """The case of a stranger: the date of today loaded nothing, and the market's day counted as loaded from then on."""
    apply(settings)
    store = feature_store(settings, url=redis, tables=small_lake.root)
    today = [datetime(1990, 1, 1, tzinfo=UTC), datetime(2026, 1, 30, tzinfo=UTC)][command != "materialize" :]
    with pytest.raises(
        LookAheadError, match=r"Nothing was written or recorded\. Run `feast materialize-incremental 2012"
    ):
        getattr(store, command)(*today)
    assert not any(view.materialization_intervals for view in store.list_feature_views())
    assert packed_rows(redis) == {}
    store.materialize_incremental(DEMO_START)
    assert packed_rows(redis)
    ends = {view.materialization_intervals[-1][1] for view in store.list_feature_views() if view.online}
    assert ends == {DEMO_START}


def test_feast_materialises_the_same_bytes_as_we_do(small_lake: Lake, settings: Settings, redis: str) -> None:
    assign(small_lake, DEMO_START, ["AAA"])
    materialize(small_lake, settings, DEMO_START)
    ours = packed_rows(redis)
    with connect(redis, 20.0) as server:
        emptied(server)
    store = feature_store(settings, url=redis, tables=small_lake.root)
    store.materialize(datetime(1990, 1, 1, tzinfo=UTC), DEMO_START)
    assert packed_rows(redis) == ours
    restate(small_lake, DEMO_START + HOUR)
    ReplayClock(settings.home / "clock.json").move_to(DEMO_START + HOUR)
    store.materialize(datetime(1990, 1, 1, tzinfo=UTC), DEMO_START + HOUR)
    assert_same_as_offline(OnlineReader(settings).read(["AAA", "BBB"]), small_lake, DEMO_START + HOUR)


def test_feast_reads_what_does_not_verify_as_not_found(small_lake: Lake, settings: Settings, redis: str) -> None:
    materialize(small_lake, settings, DEMO_START)
    store = feature_store(settings, url=redis)
    asked = ["technical:rsi_14"], [{"symbol": "AAA"}, {"symbol": "BBB"}]
    right = store.get_online_features(*asked).to_dict()["rsi_14"]
    assert None not in right
    with connect(redis, 20.0) as server:
        one, other = row_key("technical", "AAA"), row_key("technical", "BBB")
        server.set(one, server.get(other))
    assert store.get_online_features(*asked).to_dict()["rsi_14"] == [None, right[1]]


def test_an_older_value_never_replaces_a_newer_one(small_lake: Lake, settings: Settings, redis: str) -> None:
    restate(small_lake, DEMO_START + HOUR)
    materialize(small_lake, settings, DEMO_START + HOUR)
    materialize(small_lake, settings, DEMO_START)
    assert_same_as_offline(OnlineReader(settings).read(["AAA", "BBB"]), small_lake, DEMO_START + HOUR)


def test_what_is_not_yet_known_is_not_materialised(small_lake: Lake, settings: Settings, redis: str) -> None:
    restate(small_lake, DEMO_START + HOUR)
    materialize(small_lake, settings, DEMO_START)
    assert_same_as_offline(OnlineReader(settings).read(["AAA", "BBB"]), small_lake, DEMO_START)


def test_a_second_materialisation_is_skipped_until_something_changes(
    small_lake: Lake, settings: Settings, redis: str
) -> None:
    assert not materialize(small_lake, settings, DEMO_START).skipped
    again = materialize(small_lake, settings, DEMO_START)
    assert (again.skipped, again.rows) == (True, 2)
    assert again.details["reason"] == "the server already holds these table versions"
    assign(small_lake, DEMO_START, ["AAA"])
    assert not materialize(small_lake, settings, DEMO_START).skipped
    assert OnlineReader(settings).read(["AAA"]).selected_strategy == ["lstm"]


def test_what_is_served_says_its_versions_and_keeps_them_readable(
    small_lake: Lake, settings: Settings, redis: str
) -> None:
    """A forecast may wait in the log for longer than a vacuum spares what it was made from."""
    stood = []
    for day in range(3):
        assign(small_lake, DEMO_START + timedelta(days=day), ["AAA"])
        stood.append(materialize(small_lake, settings, DEMO_START + timedelta(days=day)).details["table_versions"])
        served = OnlineReader(settings).read(["AAA"]).served
        assert (served.versions, served.generation.until) == (stood[-1], DEMO_START + timedelta(days=day))
    held = [version for version, users in pins_in_use(small_lake)[STRATEGY_ASSIGNMENTS.name].items() if HOLDER in users]
    assert sorted(held) == [versions[STRATEGY_ASSIGNMENTS.name] for versions in stood[1:]]


def test_a_server_that_lost_everything_is_filled_again(small_lake: Lake, settings: Settings, redis: str) -> None:
    materialize(small_lake, settings, DEMO_START)
    with connect(redis, 20.0) as server:
        emptied(server)
    with pytest.raises(NotReadyError):
        OnlineReader(settings).symbols()
    assert not materialize(small_lake, settings, DEMO_START).skipped
    assert_same_as_offline(OnlineReader(settings).read(["AAA", "BBB"]), small_lake, DEMO_START)


def test_materialising_starts_and_stops_the_server_and_keeps_what_it_wrote(
    small_lake: Lake, settings: Settings
) -> None:
    materialize(small_lake, settings, DEMO_START)
    with pytest.raises(OnlineStoreError):
        OnlineReader(settings).read(["AAA"])
    with running_redis(settings):
        assert_same_as_offline(OnlineReader(settings).read(["AAA", "BBB"]), small_lake, DEMO_START)


def test_a_reader_survives_a_restart_of_the_server(small_lake: Lake, settings: Settings) -> None:
    with running_redis(settings):
        materialize(small_lake, settings, DEMO_START)
        reader = OnlineReader(settings)
        first = reader.read(["AAA"])
    with running_redis(settings):
        assert reader.read(["AAA"]).feature_hash == first.feature_hash


def test_times_are_utc(small_lake: Lake, settings: Settings, redis: str) -> None:
    materialize(small_lake, settings, DEMO_START)
    (as_of,) = OnlineReader(settings).read(["AAA"]).as_of
    assert as_of == DEMO_START
    assert as_of.utcoffset() == datetime.now(UTC).utcoffset()
