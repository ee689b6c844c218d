"""What Feast expects of any offline store, said again for this one.

After ``sdk/python/tests/integration/offline_store`` of Feast 0.67. What does not apply, and why:

- entities from a query (``test_historical_features_with_entities_from_query``): the store has no query language; a text
  is refused with the way out, see ``test_offline_store.py``.
- saved data sets (``test_historical_features_persisting``, ``test_persist``): a frame is read again by the table
  versions it returns, see ``test_training_frames.py``; a copy of it would be a second truth.
- writing and pushing to the offline store, feature logging (``test_offline_write``, ``test_push_*``,
  ``test_feature_logging``): only ``lake.store`` writes tables.
- renamed columns (``field_mapping`` of the main test): a feature has the name its table declares.
- retrieval without entities (``test_non_entity_mode``): Feast runs it on its Ray store only.
- integers as entity keys (``test_entity_inference_types_match``): symbols are text, and an entity declares its type.
- validation by a reference (``test_dqm_validation``): tables are validated when they are written.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureView, Field, RequestSource, ValueType
from feast.errors import FeatureNameCollisionError, RequestDataNotFoundInEntityDfException
from feast.infra.offline_stores.offline_utils import DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.definitions import OBJECTS
from feature_repo.feast_store.delta_source import DeltaSource
from feature_repo.feast_store.registry import feature_store
from lake.errors import ConfigError
from lake.settings import Settings
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import REGIMES, STRATEGY_ASSIGNMENTS

NOW = datetime(2012, 6, 4, 20, 0, tzinfo=UTC)
DAY = timedelta(days=1)
SYMBOL = Entity(name="symbol", value_type=ValueType.STRING)


def rows(table: TableSpec, *said: dict[str, Any]) -> pl.DataFrame:
    """Rows of a table; what is not said is null, or a value that means nothing."""
    defaults = {
        column.name: None if column.nullable else (column.allowed or ("x",))[0] if column.dtype == pl.String() else 0.5
        for column in table.columns
    }
    return pl.DataFrame([defaults | {"known_time": one["event_time"]} | one for one in said], schema=table.schema)


@pytest.fixture
def store(tmp_path, settings: Settings):
    """Two symbols with technical features, the regime of the market and a strategy; nothing registered yet."""
    lake = Lake(tmp_path / "tables")
    technical = [
        {"symbol": symbol, "event_time": NOW - n * DAY, "rsi_14": 10.0 * (n + 1) + at, "return_1d": n / 100}
        for at, symbol in enumerate(("A", "B"))
        for n in range(4)
    ]
    lake.merge(FEATURES_TECHNICAL, rows(FEATURES_TECHNICAL, *technical))
    lake.merge(REGIMES, rows(REGIMES, {"market": "M", "event_time": NOW - DAY, "volatility": 0.25}))
    strategy = {"symbol": "A", "event_time": NOW - DAY, "strategies": ["x", "y"], "weights": [0.25, 0.75]}
    lake.merge(STRATEGY_ASSIGNMENTS, rows(STRATEGY_ASSIGNMENTS, strategy | {"regime": "low_volatility_uptrend"}))
    settings.feast.mkdir(parents=True)
    return feature_store(settings, tables=lake.root)


def asked(**columns: list[Any]) -> pd.DataFrame:
    size = len(next(iter(columns.values())))
    return pd.DataFrame({DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL: [NOW] * size} | columns)


@on_demand_feature_view(
    sources=[
        next(thing for thing in OBJECTS if isinstance(thing, FeatureView) and thing.name == "technical")[["rsi_14"]],
        RequestSource(name="request", schema=[Field(name="to_add", dtype=Int64)]),
    ],
    schema=[Field(name="rsi_plus", dtype=Float64)],
)
def rsi_plus(inputs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"rsi_plus": inputs["rsi_14"] + inputs["to_add"]})


# Feast calls its views on demand experimental each time it meets one.
on_demand = pytest.mark.filterwarnings("ignore:On demand feature view is an experimental:RuntimeWarning")


@on_demand
@pytest.mark.parametrize("full", [True, False], ids=["full names", "short names"])
def test_views_of_several_entities_and_one_on_demand_join_one_frame(store, full: bool) -> None:
    store.apply([*OBJECTS, rsi_plus])
    job = store.get_historical_features(
        asked(symbol=["A", "B", "Z"], market=["M", "N", "M"], to_add=[1, 2, 3], order=[7, 8, 9]),
        ["technical:rsi_14", "technical:return_1d", "regime:volatility", "rsi_plus:rsi_plus"],
        full_feature_names=full,
    )
    found, again = job.to_df(), job.to_arrow().to_pandas()
    pd.testing.assert_frame_equal(found, again)
    prefix = {"rsi_14": "technical__", "return_1d": "technical__", "volatility": "regime__", "rsi_plus": "rsi_plus__"}
    expected = {
        "rsi_14": [10.0, 11.0, None],
        "return_1d": [0.0, 0.0, None],
        "volatility": [0.25, None, 0.25],
        "rsi_plus": [11.0, 13.0, None],
    }
    for name, values in expected.items():
        column = found[f"{prefix[name] if full else ''}{name}"]
        assert column.astype(object).where(column.notna(), None).tolist() == values, name
    assert found["order"].tolist() == [7, 8, 9]


def test_one_view_serves_two_columns_of_the_frame_under_two_names(store) -> None:
    technical = next(thing for thing in OBJECTS if isinstance(thing, FeatureView) and thing.name == "technical")
    pair = FeatureService(
        name="pair",
        features=[
            technical[["rsi_14"]].with_name("long").with_join_key_map({"symbol": "bought"}),
            technical[["rsi_14"]].with_name("short").with_join_key_map({"symbol": "sold"}),
        ],
    )
    store.apply([*OBJECTS, pair])
    found = store.get_historical_features(asked(bought=["A", "B"], sold=["B", "A"]), pair, full_feature_names=True)
    assert found.to_df()[["long__rsi_14", "short__rsi_14"]].to_numpy().tolist() == [[10.0, 11.0], [11.0, 10.0]]


def test_a_view_without_entities_gives_every_row_the_same(store) -> None:
    everywhere = FeatureView(
        name="everywhere",
        entities=[],
        schema=[Field(name="volatility", dtype=Float64)],
        source=DeltaSource("regimes", name="everywhere_source"),
        ttl=timedelta(0),
    )
    store.apply([everywhere])
    found = store.get_historical_features(asked(order=[1, 2]), ["everywhere:volatility"])
    assert found.to_df()["volatility"].tolist() == [0.25, 0.25]


def test_a_feature_of_another_view_of_the_same_source_is_not_found(store) -> None:
    source = DeltaSource("features_technical")
    small, large = (
        FeatureView(name=name, entities=[SYMBOL], schema=[Field(name=f, dtype=Float64) for f in fields], source=source)
        for name, fields in (("small", ["rsi_14"]), ("large", ["rsi_14", "macd"]))
    )
    store.apply([SYMBOL, small, large])
    with pytest.raises((KeyError, ConfigError), match="macd"):
        store.get_historical_features(asked(symbol=["A"]), ["small:macd"]).to_df()


@on_demand
def test_request_data_that_is_missing_is_named(store) -> None:
    store.apply([*OBJECTS, rsi_plus])
    with pytest.raises(RequestDataNotFoundInEntityDfException, match="to_add"):
        store.get_historical_features(asked(symbol=["A"]), ["rsi_plus:rsi_plus"])


def test_without_a_time_to_live_a_value_of_any_age_counts(store) -> None:
    forever = FeatureView(
        name="forever",
        entities=[SYMBOL],
        schema=[Field(name="rsi_14", dtype=Float64)],
        source=DeltaSource("features_technical"),
        ttl=timedelta(0),
    )
    store.apply([SYMBOL, forever])
    spine = asked(symbol=["A"])
    spine[DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL] += timedelta(days=3000)
    assert store.get_historical_features(spine, ["forever:rsi_14"]).to_df()["rsi_14"].tolist() == [10.0]


def test_of_a_backfill_the_newest_event_and_its_newest_restatement_count(tmp_path, settings: Settings) -> None:
    """Feast's own example: a duplicate known later replaces the first, an older event known later does not."""
    lake = Lake(tmp_path / "backfilled")
    facts = [
        ("C", NOW, NOW, 10.0),
        ("C", NOW, NOW + DAY, 20.0),
        ("D", NOW, NOW + DAY, 30.0),
        ("D", NOW + DAY, NOW + DAY, 40.0),
    ]
    names = ("symbol", "event_time", "known_time", "rsi_14")
    lake.merge(FEATURES_TECHNICAL, rows(FEATURES_TECHNICAL, *(dict(zip(names, fact, strict=True)) for fact in facts)))
    settings.feast.mkdir(parents=True)
    store = feature_store(settings, tables=lake.root)
    store.apply(list(OBJECTS))
    spine = asked(symbol=["C", "D"])
    spine[DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL] += 2 * DAY
    assert store.get_historical_features(spine, ["technical:rsi_14"]).to_df()["rsi_14"].tolist() == [20.0, 40.0]


def test_types_arrive_as_they_are_stored(store) -> None:
    store.apply(list(OBJECTS))
    refs = [
        "strategy:strategies",
        "strategy:weights",
        "strategy:confidence",
        "regime:regime",
        "technical:known_time_us",
    ]
    found = store.get_historical_features(asked(symbol=["A"], market=["M"]), refs).to_arrow()
    assert found.schema.field("strategies").type == pa.list_(pa.field("item", pa.string())) or pa.types.is_large_list(
        found.schema.field("strategies").type
    )
    assert found["strategies"].to_pylist() == [["x", "y"]]
    assert found["weights"].to_pylist() == [[0.25, 0.75]]
    assert pa.types.is_float64(found.schema.field("confidence").type)
    assert pa.types.is_int64(found.schema.field("known_time_us").type)
    assert pa.types.is_timestamp(found.schema.field(DEFAULT_ENTITY_DF_EVENT_TIMESTAMP_COL).type)


def test_names_that_collide_must_be_asked_for_in_full(store) -> None:
    store.apply(list(OBJECTS))
    refs = ["technical:known_time_us", "regime:known_time_us"]
    frame = asked(symbol=["A"], market=["M"])
    with pytest.raises(FeatureNameCollisionError):
        store.get_historical_features(frame, refs)
    found = store.get_historical_features(frame, refs, full_feature_names=True).to_df()
    assert {"technical__known_time_us", "regime__known_time_us"} <= set(found.columns)


def test_the_timestamp_is_found_by_its_type_and_kept_in_its_place(store, capsys) -> None:
    store.apply(list(OBJECTS))
    eastern = pd.to_datetime([NOW - DAY]).tz_convert("America/New_York")
    found = store.get_historical_features(
        pd.DataFrame({"symbol": ["A"], "e_ts": eastern}), ["technical:rsi_14"]
    ).to_df()
    assert found["rsi_14"].tolist() == [20.0]
    assert found["e_ts"].tolist() == [pd.Timestamp(NOW - DAY)]
    assert "Using e_ts as the event timestamp" in capsys.readouterr().out


def test_a_frame_without_a_key_and_one_that_has_the_feature_already_are_told_so(store) -> None:
    store.apply(list(OBJECTS))
    with pytest.raises(ConfigError, match="no column 'symbol', by which the rows of view 'technical' are found"):
        store.get_historical_features(asked(ticker=["A"]), ["technical:rsi_14"]).to_df()
    with pytest.raises(ConfigError, match=r"already has a column 'rsi_14'.*full_feature_names=True"):
        store.get_historical_features(asked(symbol=["A"], rsi_14=[1.0]), ["technical:rsi_14"]).to_df()
