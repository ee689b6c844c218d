"""Importance of features: what a model reads, what it does not, and nothing that was not known yet."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.materialize import update_technical
from feature_repo.targets import FORECAST_V2
from lake.clock import DEMO_START, FixedClock
from lake.errors import NotReadyError, UnknownNameError
from lake.store import Lake
from lake.tables import BARS, CALIBRATIONS, FEATURE_IMPORTANCE, LABELS, TABLES
from serving.forecasts import BLEND
from serving.importance import newest_importance
from serving.importance.exchange import feature_sets, order_within
from serving.importance.measuring import update_importance
from support.blend import weights_row
from training.judge import quantile_losses

NOW = FixedClock(DEMO_START)
PLANTED = "rsi_14"
SCALE = FORECAST_V2.features[FORECAST_V2.scale_indices[0]]


@dataclass(frozen=True)
class Adding:
    """An engine whose every quantile is that of another one plus what a feature of the last session says."""

    base: Any
    feature: str
    said: Callable[[Any], Any]
    name: str = "adding"
    version: str = "1"
    device: str = "numpy"

    @property
    def digest(self) -> str:
        digest: str = self.signature.digest
        return digest

    @property
    def signature(self) -> Any:
        return self.base.signature.model_copy(update={"name": self.name})

    def predict(self, x: np.ndarray) -> Any:
        values = x[:, -1, FORECAST_V2.features.index(self.feature)]
        return self.base.predict(x) + self.said(values)[:, None, None].astype(np.float32)


def measured(lake: Lake, engines: Any, clock: FixedClock = NOW, seconds: float = 1.0) -> pl.DataFrame:
    update_importance(lake, clock, engines, seconds=seconds)
    return lake.read_as_of(FEATURE_IMPORTANCE, clock.now())


def rows_of(table: pl.DataFrame, **asked: object) -> dict[str, dict[str, Any]]:
    found = table.filter(**({"regime": "all", "horizon_sessions": 1} | asked))
    return {row["feature"]: row for row in found.iter_rows(named=True)}


@pytest.fixture
def measure(market: Lake, engines: dict[str, Any]) -> pl.DataFrame:
    return measured(market, engines)


def test_naive_reads_the_volatility_that_makes_its_band_and_nothing_else(measure: pl.DataFrame) -> None:
    rows = rows_of(measure, model="naive")
    assert rows[SCALE]["loss_rise"] != 0
    others = [row for name, row in rows.items() if SCALE not in row["features"]]
    assert len(others) >= len(FORECAST_V2.features) - 1
    assert all((row["loss_rise"], row["low"], row["high"]) == (0, 0, 0) for row in others)


def test_the_interval_of_a_feature_that_is_not_read_holds_zero(measure: pl.DataFrame) -> None:
    for row in rows_of(measure, model="ridge").values():
        assert row["low"] <= row["loss_rise"] <= row["high"]
        if not {SCALE, "return_1d"} & set(row["features"]):
            assert row["low"] <= 0 <= row["high"]


def test_a_feature_that_is_the_same_for_every_symbol_tells_none_apart(market: Lake, engines: dict[str, Any]) -> None:
    reader = Adding(engines["naive"], "market_return", lambda values: values)
    row = rows_of(measured(market, {"adding": reader}), model="adding")["market_return"]
    assert (row["loss_rise"], row["low"], row["high"]) == (0, 0, 0)


def test_a_planted_feature_comes_first(market: Lake, engines: dict[str, Any]) -> None:
    def planted(values: Any) -> Any:
        return 0.002 * (values - 50)

    features = measured_features(market)
    labels = market.read(LABELS).join(features, on=["symbol", "event_time"], how="left")
    shutil.rmtree(market.path(LABELS))
    told = pl.when(pl.col(PLANTED).is_null()).then("forward_return").otherwise(planted(pl.col(PLANTED)))
    market.merge(LABELS, labels.with_columns(told.alias("forward_return")).select(LABELS.names))
    table = measured(market, {"adding": Adding(engines["naive"], PLANTED, planted), **engines})
    for horizon in (1, 5):
        found = newest_importance(market, NOW.now(), model="adding", horizon=horizon)
        assert found.features[0]["feature"] == PLANTED
        assert (found.features[0]["rank"], found.features[0]["low"] > 0) == (1, True)
    assert rows_of(table, model="naive")[PLANTED]["loss_rise"] == 0, "a model that does not read it loses nothing"


def measured_features(lake: Lake) -> pl.DataFrame:
    from feature_repo.catalog import FEATURES_TECHNICAL

    return lake.read_as_of(FEATURES_TECHNICAL, NOW.now()).select("symbol", "event_time", PLANTED)


def test_as_of_an_earlier_day_the_same_is_measured_as_in_a_lake_that_ends_there(
    market: Lake, engines: dict[str, Any], closes: list, tmp_path: Any
) -> None:
    then = FixedClock(closes[-8])
    cut = Lake(tmp_path / "cut" / "tables")
    for spec in TABLES:
        if market.exists(spec) and spec is not FEATURE_IMPORTANCE:
            cut.merge(spec, market.read(spec, where=pl.col("known_time") <= then.now()))
    cut.merge(BARS, market.read(BARS, where=pl.col("known_time") <= then.now()))
    update_technical(cut, then)
    drop = ["table_versions", "repeats"]
    left, right = (measured(lake, engines, then, seconds=0.0).drop(drop) for lake in (market, cut))
    key = list(FEATURE_IMPORTANCE.key)
    assert left.sort(key).equals(right.sort(key))
    assert left["event_time"].max() < then.now()


def test_the_blend_is_measured_with_the_weights_and_the_correction_in_force(
    market: Lake, engines: dict[str, Any], closes: list
) -> None:
    first, later = closes[-30], closes[-15]
    market.merge(
        *_of("blend_weights", weights_row(first, {1: {"ridge": 1.0}, 5: {"ridge": 1.0}})),
    )
    market.merge(*_of("blend_weights", weights_row(later, {1: {"naive": 1.0}, 5: {"naive": 1.0}})))
    table = measured(market, engines)
    blend, ridge, naive = (rows_of(table, model=name)["return_1d"] for name in (BLEND, "ridge", "naive"))
    assert naive["loss_rise"] == 0
    assert 0 < abs(blend["loss_rise"]) != abs(ridge["loss_rise"])
    assert blend["sessions"] == ridge["sessions"]
    assert blend["loss"] not in {ridge["loss"], naive["loss"]}


def _of(name: str, rows: pl.DataFrame) -> tuple[Any, pl.DataFrame]:
    return next(spec for spec in TABLES if spec.name == name), rows


def test_a_wider_band_of_the_blend_is_scored_as_it_was_answered(
    market: Lake, engines: dict[str, Any], closes: list
) -> None:
    market.merge(*_of("blend_weights", weights_row(closes[-30], {1: {"naive": 1.0}, 5: {"naive": 1.0}})))
    plain = rows_of(measured(market, engines), model=BLEND)[SCALE]["loss"]
    shutil.rmtree(market.path(FEATURE_IMPORTANCE))
    regimes = sorted(set(market.read_as_of(_of("regimes", pl.DataFrame())[0], NOW.now())["regime"]))
    count = len(regimes)
    values = [regimes, [1] * count, [3.0] * count, [3.0] * count, [1.0] * count, [9.0] * count]
    row = (market.market.index, closes[-30], closes[-30], *values)
    market.merge(CALIBRATIONS, pl.DataFrame([row], schema=CALIBRATIONS.schema, orient="row"))
    assert rows_of(measured(market, engines), model=BLEND)[SCALE]["loss"] > 1.2 * plain


def test_measuring_again_does_nothing_until_a_session_or_a_model_is_new(
    market: Lake, engines: dict[str, Any], closes: list
) -> None:
    assert update_importance(market, FixedClock(closes[-3]), engines, seconds=0.0).added
    again = update_importance(market, FixedClock(closes[-3]), engines, seconds=0.0)
    assert (again.skipped, again.details["reason"]) == (
        True,
        "the newest matured session was measured with these models",
    )
    assert update_importance(market, NOW, engines, seconds=0.0).added
    other = engines | {"ridge": replace(engines["ridge"], slope=0.7)}
    later = FixedClock(NOW.now() + timedelta(minutes=1))
    assert update_importance(market, later, other, seconds=0.0).added


def test_a_model_that_learnt_from_every_session_is_not_measured(market: Lake, engines: dict[str, Any]) -> None:
    late = replace(engines["ridge"], train_until=NOW.now())
    with pytest.raises(NotReadyError, match="has matured yet"):
        update_importance(market, NOW, {"ridge": late})
    assert set(measured(market, {"naive": engines["naive"], "ridge": late}, seconds=0.0)["model"]) == {"naive"}


def test_nothing_is_read_that_was_measured_later(measure: pl.DataFrame, market: Lake) -> None:
    with pytest.raises(NotReadyError, match="was not measured by 2012-12-30: it is measured every week"):
        newest_importance(market, NOW.now() - timedelta(days=1), model="naive", horizon=1)
    with pytest.raises(UnknownNameError, match="There is no model 'ridg'"):
        newest_importance(market, NOW.now(), model="ridg", horizon=1)
    with pytest.raises(UnknownNameError, match="There is no regime 'calm'"):
        newest_importance(market, NOW.now(), model="ridge", horizon=1, regime="calm")


def test_the_rank_of_a_month_before_stands_beside(measure: pl.DataFrame, market: Lake) -> None:
    month = timedelta(days=28)
    earlier = measure.with_columns(pl.col("event_time", "known_time") - month, pl.col("first_session") - month)
    market.merge(FEATURE_IMPORTANCE, earlier.with_columns(loss_rise=-pl.col("loss_rise"), low=-1.0, high=1.0))
    found = newest_importance(market, NOW.now(), model="naive", horizon=1)
    first = found.features[0]
    assert (first["feature"], first["rank"], first["rank_last_month"]) == (SCALE, 1, len(found.features))


def test_an_exchange_stays_within_its_session_and_leaves_no_window_out() -> None:
    random = np.random.default_rng(3)
    sessions = np.sort(random.integers(0, 40, 600))
    order = order_within(sessions, random)
    assert (sessions[order] == sessions).all()
    assert sorted(order) == list(range(600))
    assert (order != np.arange(600)).mean() > 0.8


def test_features_above_the_threshold_form_one_cluster_each_feature_stays_alone_too() -> None:
    random = np.random.default_rng(0)
    base = random.normal(size=(400, 3)).astype(np.float32)
    last = np.column_stack([base, np.exp(base[:, 0]), -base[:, 1], np.full(400, np.nan, np.float32)])
    names = [one.name for one in feature_sets(("a", "b", "c", "like_a", "minus_b", "unknown"), last)]
    assert names == ["a", "b", "c", "like_a", "minus_b", "unknown", "a + like_a", "b + minus_b"]


def test_the_base_loss_is_the_pinball_loss_of_the_forecasts(
    market: Lake, engines: dict[str, Any], measure: pl.DataFrame
) -> None:
    from serving.backfill import WalkForwardTables

    row = rows_of(measure, model="ridge")["return_1d"]
    labels = market.read_as_of(LABELS, NOW.now()).filter(pl.col("horizon_sessions") == 1)
    span = labels.filter(pl.col("event_time").is_between(row["first_session"], row["event_time"]))
    sessions = span["event_time"].unique().sort().to_list()
    [batch] = WalkForwardTables.of(market, sessions, FORECAST_V2).batches()
    truth = batch.keys.join(span, on=["symbol", "event_time"], how="left", maintain_order="left")["forward_return"]
    losses = quantile_losses(truth.to_numpy(), engines["ridge"].predict(batch.inputs)[:, 0], (0.1, 0.5, 0.9))
    by_session = batch.keys.with_columns(loss=pl.Series(losses.mean(axis=-1))).group_by("event_time").agg("loss")
    expected = by_session.select(pl.col("loss").list.mean().mean()).item()
    assert row["loss"] == pytest.approx(expected, rel=1e-12)
    assert (row["sessions"], row["forecasts"]) == (len(sessions), len(losses))
