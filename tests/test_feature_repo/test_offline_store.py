"""Historical retrieval and materialisation queries through Feast itself, over the lake's tables."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from feature_repo.catalog import FEATURES_TECHNICAL, MODEL_FEATURES
from feature_repo.feast_store import offline_store
from feature_repo.feast_store.delta_source import DeltaSource
from feature_repo.materialize.update import update_regimes, update_technical
from feature_repo.retrieval import apply, feature_store, training_frame
from lake.clock import DEMO_START, FixedClock
from lake.errors import ConfigError, NotReadyError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from lake.tables import REGIMES
from lake.universe import MARKET

NOW = FixedClock(DEMO_START)
DAY = timedelta(days=1)
TIME = datetime(2012, 6, 1, 20, 0, tzinfo=UTC)


def technical(rows: list[tuple[str, datetime, datetime, float]]) -> pl.DataFrame:
    """Rows of the technical table whose `rsi_14` is given and whose other features are unknown."""
    features = [
        name for name in FEATURES_TECHNICAL.names if name not in {"symbol", "event_time", "known_time", "rsi_14"}
    ]
    frame = pl.DataFrame(
        rows,
        schema={name: FEATURES_TECHNICAL.schema[name] for name in ("symbol", "event_time", "known_time", "rsi_14")},
        orient="row",
    )
    return frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in features).select(
        FEATURES_TECHNICAL.names
    )


def regime(at: datetime, name: str) -> pl.DataFrame:
    state, trend = name.rsplit("_", 1)
    said = {"market": MARKET, "event_time": at, "known_time": at, "regime": name}
    said |= {"volatility_state": state, "trend_state": trend, "volatility": 0.1, "trend_gap": 0.0}
    return pl.DataFrame([{name: said.get(name) for name in REGIMES.names}], schema=REGIMES.schema)


@pytest.fixture
def store(lake: Lake, settings: Settings):
    """Return Feast's store over a lake where one value was restated and one arrived late."""
    lake.merge(
        FEATURES_TECHNICAL,
        technical(
            [
                ("A", TIME, TIME, 10.0),
                ("B", TIME, TIME, 20.0),
                ("B", TIME + DAY, TIME + 3 * DAY, 21.0),
            ]
        ),
    )
    lake.merge(FEATURES_TECHNICAL, technical([("A", TIME, TIME + 2 * DAY, 1000.0)]))
    lake.merge(REGIMES, regime(TIME, "low_volatility_uptrend"))
    apply(settings)
    return feature_store(settings, tables=lake.root)


def asked(*rows: tuple[str, datetime]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "symbol": [symbol for symbol, _ in rows],
            "event_timestamp": [at for _, at in rows],
            "market": MARKET,
            "tag": np.arange(len(rows)),
        }
    )


SPINE = asked(
    ("A", TIME + 2 * DAY), ("B", TIME + DAY), ("A", TIME), ("A", TIME - DAY), ("B", TIME + 3 * DAY), ("Z", TIME)
)


def test_each_row_gets_what_was_known_then(store) -> None:
    found = store.get_historical_features(SPINE, ["technical:rsi_14", "regime:regime"]).to_df()
    assert list(found.columns) == ["symbol", "event_timestamp", "market", "tag", "rsi_14", "regime"]
    assert found["tag"].tolist() == list(range(6))
    np.testing.assert_array_equal(found["rsi_14"], [1000.0, 20.0, 10.0, np.nan, 21.0, np.nan])
    up = "low_volatility_uptrend"
    assert found["regime"].tolist() == [up, up, up, None, up, up]


def test_the_answer_is_the_same_whether_or_not_the_caller_asks_for_the_filter(store) -> None:
    plain, asked_for = (
        store.get_historical_features(SPINE, ["technical:rsi_14"], filter_by_created_timestamp=flag).to_arrow()
        for flag in (False, True)
    )
    assert plain.equals(asked_for)


def test_a_store_that_ignores_the_known_time_is_caught(store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: every row counts from its event time on. What was known, 10.0, becomes the restated 1000.0."""

    def blind(config, source, columns, at, since, **_):
        rows = honest(config, source, columns, datetime(2100, 1, 1, tzinfo=UTC), since=since)
        newest = rows.sort("known_time").unique(["symbol", "event_time"], keep="last")
        return newest.with_columns(known_time=pl.col("event_time"))

    honest = offline_store._known
    monkeypatch.setattr(offline_store, "_known", blind)
    found = store.get_historical_features(asked(("A", TIME)), ["technical:rsi_14"]).to_df()
    assert found["rsi_14"].tolist() == [1000.0]


def test_full_names_carry_the_view(store) -> None:
    found = store.get_historical_features(SPINE, ["technical:rsi_14"], full_feature_names=True).to_df()
    assert "technical__rsi_14" in found.columns


def test_a_value_older_than_its_time_to_live_is_null(store) -> None:
    spine = asked(("A", TIME + 7 * DAY), ("A", TIME + 7 * DAY + timedelta(seconds=1)))
    found = store.get_historical_features(spine, ["technical:rsi_14"]).to_df()
    np.testing.assert_array_equal(found["rsi_14"], [1000.0, np.nan])


def test_nulls_arrive_as_nulls(store) -> None:
    found = store.get_historical_features(SPINE, ["technical:macd"]).to_arrow()
    assert found["macd"].null_count == len(SPINE)


def test_text_as_an_entity_frame_is_refused_with_the_way_out(store) -> None:
    with pytest.raises(ConfigError, match=r"need a pandas frame .* str came.*lake\.sql\.connect"):
        store.get_historical_features("select 1", ["technical:rsi_14"])


def pulled(store, start: datetime, end: datetime, *, everything: bool = False) -> list[tuple]:
    kind = "pull_all" if everything else "pull_latest"
    pull = getattr(offline_store.DeltaOfflineStore, f"{kind}_from_table_or_query")
    job = pull(
        config=store.config,
        data_source=store.get_data_source("features_technical"),
        join_key_columns=["symbol"],
        feature_name_columns=["rsi_14"],
        timestamp_field="event_time",
        created_timestamp_column="known_time",
        start_date=start,
        end_date=end,
    )
    return sorted(pl.from_arrow(job.to_arrow()).select("symbol", "rsi_14").rows())


def test_the_latest_rows_are_those_known_at_the_end(store) -> None:
    assert pulled(store, TIME - DAY, TIME) == [("A", 10.0), ("B", 20.0)]
    assert pulled(store, TIME - DAY, TIME + DAY) == [("A", 10.0), ("B", 20.0)]
    assert pulled(store, TIME - DAY, TIME + 4 * DAY) == [("A", 1000.0), ("B", 21.0)]


def test_an_incremental_pull_finds_a_restatement_of_an_old_session(store) -> None:
    assert pulled(store, TIME + 2 * DAY, TIME + 2 * DAY) == [("A", 1000.0)]
    assert pulled(store, TIME + 2.5 * DAY, TIME + 4 * DAY) == [("B", 21.0)]


def test_a_start_after_the_end_means_from_the_beginning(store) -> None:
    assert pulled(store, datetime(2026, 1, 1, tzinfo=UTC), TIME) == [("A", 10.0), ("B", 20.0)]


def test_all_rows_of_a_range_include_restatements(store) -> None:
    assert pulled(store, TIME, TIME + 2 * DAY, everything=True) == [("A", 10.0), ("A", 1000.0), ("B", 20.0)]


def test_a_table_that_does_not_exist_yet_gives_nulls(store) -> None:
    found = store.get_historical_features(SPINE, ["strategy:selected_strategy"]).to_df()
    assert found["selected_strategy"].isna().all()


def test_a_source_must_be_a_table_of_the_lake() -> None:
    with pytest.raises(UnknownNameError, match=r"There is no table 'feature'"):
        DeltaSource("feature")


def test_a_source_reads_back_from_the_registry_as_it_was() -> None:
    source = DeltaSource("model_windows", equals={"signature": "x"}, name="n")
    again = DeltaSource.from_proto(source.to_proto())
    assert again == source
    assert again != DeltaSource("model_windows", equals={"signature": "y"}, name="n")


def test_the_training_frame_is_the_feature_table_as_it_was_known(featured_lake: Lake, settings: Settings) -> None:
    training = training_frame(featured_lake, settings, clock=NOW)
    expected = featured_lake.read_as_of(FEATURES_TECHNICAL, DEMO_START).select("symbol", "event_time", *MODEL_FEATURES)
    assert_frame_equal(training.frame, expected, check_exact=True)
    assert training.versions == {"features_technical": featured_lake.version(FEATURES_TECHNICAL)}


def test_the_training_frame_ignores_restatements_and_the_future(
    make_lake: Callable, small_market: Callable, settings: Settings
) -> None:
    bars = small_market(120)
    lake = make_lake(bars)
    update_technical(lake, NOW)
    update_regimes(lake, NOW)
    before = training_frame(lake, settings, clock=NOW)
    last = lake.read(FEATURES_TECHNICAL).filter(pl.col("event_time") == DEMO_START)
    later = pl.col("known_time") + timedelta(hours=2)
    lake.merge(FEATURES_TECHNICAL, last.with_columns(later, pl.col("rsi_14") + 1))
    after = training_frame(lake, settings, clock=FixedClock(DEMO_START + DAY))
    assert_frame_equal(after.frame, before.frame, check_exact=True)
    assert after.versions != before.versions
    early = training_frame(lake, settings, clock=FixedClock(DEMO_START - DAY))
    assert early.frame["event_time"].max() < DEMO_START


def test_without_features_there_is_nothing_to_train_on(lake: Lake, settings: Settings) -> None:
    with pytest.raises(NotReadyError, match=r"'features_technical' is not made yet .* Run `make demo`"):
        training_frame(lake, settings, clock=NOW)
