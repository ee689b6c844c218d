"""Weights of models: from losses that had matured, for what beats the best baseline, and never from the future."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_repo.targets import HORIZONS
from lake.clock import FixedClock
from lake.errors import ConfigError, NotReadyError
from lake.store import Lake
from lake.tables import BLEND_WEIGHTS, FORECASTS, LABELS, VERDICTS
from serving.blend_weights import WeightRule, exponential_weights, learn_weights, learning, update_blend_weights

START = datetime(2012, 1, 3, 21, tzinfo=UTC)
DAY = timedelta(days=1)
SYMBOLS = ("AAA", "BBB", "CCC")
SESSIONS = 80
BANDS = {"naive": 1.0, "garch": 0.3, "tft": 0.2, "constant": 0.25}
"""By model: distance of p10 and p90 from the outcome's centre. Outcomes are small, so narrow bands lose less."""


def at(session: int) -> datetime:
    """Close of a session."""
    return START + session * DAY


@pytest.fixture(scope="module")
def forecasts() -> pl.DataFrame:
    """Replayed forecasts of four models whose bands differ."""
    rows = [
        {
            "forecast_id": f"{model}-{symbol}-{session}-{horizon}",
            "kind": "replay",
            "symbol": symbol,
            "event_time": at(session),
            "known_time": at(session),
            "made_at": at(session),
            "horizon_sessions": horizon,
            "p10": -0.03 * band,
            "p50": 0.0,
            "p90": 0.03 * band,
            "reference_price": 10.0,
            "model_name": model,
            "model_version": "1",
            "model_digest": "ab",
            "strategy": None,
            "regime": "calm",
            "feature_table_versions": "{}",
            "feature_hash": "cd",
            "latency_ms": None,
            "degraded": False,
        }
        for model, band in BANDS.items()
        for symbol in SYMBOLS
        for session in range(SESSIONS)
        for horizon in HORIZONS
    ]
    return pl.DataFrame(rows, schema=FORECASTS.schema)


@pytest.fixture(scope="module")
def labels() -> pl.DataFrame:
    """Small outcomes, known once their horizon has passed."""
    random = np.random.default_rng(5)
    rows = [
        (symbol, at(session), horizon, at(session + horizon), random.normal(0, 0.004))
        for symbol in SYMBOLS
        for session in range(SESSIONS)
        for horizon in HORIZONS
        if session + horizon < SESSIONS
    ]
    names = ["symbol", "event_time", "horizon_sessions", "known_time", "forward_return"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(
        pl.col("horizon_sessions").cast(LABELS.schema["horizon_sessions"]),
        pl.col("event_time", "known_time").cast(LABELS.schema["event_time"]),
    )


def verdict(model: str, **change: object) -> dict[str, object]:
    """One verdict, on what was known before the first session."""
    said = {
        "experiment": "test",
        "model": model,
        "is_baseline": model in {"naive", "garch"},
        "is_constant": model == "constant",
        "best_baseline": "garch",
        "pinball_loss": 0.01,
        "seeds": 1,
        "loss_spread": None,
        "gain": 0.02,
        "gain_t": 4.0,
        "p_value": 0.001,
        "folds_won": 3,
        "folds": 3,
        "beats_best_baseline": model == "tft",
        "hit_rate": None,
        "base_rate": 0.5,
        "event_time": at(-5),
        "known_time": at(-5),
    }
    return said | change


def verdicts(*rows: dict[str, object]) -> pl.DataFrame:
    """These verdicts, at every horizon."""
    everywhere = [row | {"horizon_sessions": horizon} for row in rows for horizon in HORIZONS]
    return pl.DataFrame(everywhere, schema=VERDICTS.schema)


ALL = [verdict(model) for model in BANDS]


def in_force(rows: pl.DataFrame, session: int, horizon: int) -> dict[str, tuple[float, float, float, str]]:
    """Weight, loss, sessions and reason by model."""
    row = rows.filter(event_time=at(session)).row(0, named=True)
    names = ("model_horizons", "models", "model_weights", "losses", "sessions", "reasons")
    entries = zip(*(row[name] for name in names), strict=True)
    return {model: said for when, model, *said in entries if when == horizon}  # type: ignore[misc]


def test_by_hand(forecasts: pl.DataFrame, labels: pl.DataFrame) -> None:
    """The losses of two sessions written out, and the exponential of their difference."""
    rule = WeightRule(learning_rate=2.0, half_life_sessions=1.0, least=0.0)
    found = in_force(learn_weights(forecasts, labels, verdicts(*ALL), rule), 2, 1)

    def loss(model: str, session: int) -> float:
        truth = labels.filter(event_time=at(session), horizon_sessions=1)["forward_return"].to_numpy()
        levels = np.array([0.1, 0.5, 0.9])
        error = truth[:, None] - 0.03 * BANDS[model] * np.array([-1.0, 0.0, 1.0])
        return float(np.maximum(levels * error, (levels - 1) * error).mean())

    counting = ("garch", "naive", "tft")
    total = np.array([0.5 * loss(model, 0) + loss(model, 1) for model in counting])
    shares = np.exp(-2.0 * total / (total.mean() / 1.5))
    assert [found[model][0] for model in counting] == pytest.approx((shares / shares.sum()).tolist(), rel=1e-12)
    assert found["tft"][1] == pytest.approx(total[2] / 1.5, rel=1e-12)
    assert found["tft"][2] == 2.0


def test_what_does_not_beat_the_best_baseline_has_no_weight(forecasts: pl.DataFrame, labels: pl.DataFrame) -> None:
    """Although its loss is the lowest; a baseline whose loss is far above the lowest has none either."""
    lost = [verdict("tft", beats_best_baseline=False, p_value=0.3) if row["model"] == "tft" else row for row in ALL]
    for horizon in HORIZONS:
        won = in_force(learn_weights(forecasts, labels, verdicts(*ALL)), SESSIONS - 1, horizon)
        assert won["tft"][0] > 0.9
        assert won["naive"][0] == 0.0
        assert "far above the lowest" in won["naive"][3]
        found = in_force(learn_weights(forecasts, labels, verdicts(*lost)), SESSIONS - 1, horizon)
        assert found["tft"][0] == 0.0
        assert found["tft"][1] == min(loss for _, loss, *_ in found.values())
        assert "does not beat garch (+2.00%, p 0.3)" in found["tft"][3]
        assert found["garch"][0] > 0.95


def test_a_constant_has_no_weight(forecasts: pl.DataFrame, labels: pl.DataFrame) -> None:
    beats = [*ALL[:3], verdict("constant", beats_best_baseline=True)]
    found = in_force(learn_weights(forecasts, labels, verdicts(*beats)), SESSIONS - 1, 1)
    assert found["constant"][0] == 0.0
    assert "do not vary" in found["constant"][3]


def test_before_anything_matured_the_baselines_share(forecasts: pl.DataFrame, labels: pl.DataFrame) -> None:
    found = in_force(learn_weights(forecasts, labels, verdicts(*ALL[:2])), 0, 5)
    assert {model: said[0] for model, said in found.items() if said[0]} == {"naive": 0.5, "garch": 0.5}
    assert found["tft"][3] == "not judged beside a baseline"


def test_without_a_verdict_every_model_counts_by_its_loss(forecasts: pl.DataFrame, labels: pl.DataFrame) -> None:
    found = in_force(learn_weights(forecasts, labels, VERDICTS.empty()), SESSIONS - 1, 1)
    assert max(found, key=lambda model: found[model][0]) == min(found, key=lambda model: found[model][1])
    only = forecasts.filter(pl.col("model_name") == "tft")
    judged = verdicts(verdict("tft", beats_best_baseline=False))
    alone = in_force(learn_weights(only, labels, judged), SESSIONS - 1, 1)["tft"]
    assert (alone[0], alone[3]) == (1.0, "no baseline is in service")


def test_a_later_verdict_says_nothing_of_earlier_closes(forecasts: pl.DataFrame, labels: pl.DataFrame) -> None:
    later = verdict("tft", beats_best_baseline=False, event_time=at(40), experiment="later")
    rows = learn_weights(forecasts, labels, verdicts(*ALL, later))
    assert in_force(rows, 39, 1)["tft"][0] > 0.9
    assert in_force(rows, 40, 1)["tft"][0] == 0.0


def test_a_model_that_does_not_forecast_the_newest_session_has_no_entry(
    forecasts: pl.DataFrame, labels: pl.DataFrame
) -> None:
    gone = forecasts.filter((pl.col("model_name") != "tft") | (pl.col("event_time") < at(50)))
    rows = learn_weights(gone, labels, verdicts(*ALL))
    assert "tft" in in_force(rows, 49, 1)
    assert "tft" not in in_force(rows, 50, 1)


@pytest.fixture
def lived(lake: Lake, forecasts: pl.DataFrame, labels: pl.DataFrame) -> Lake:
    """A lake that holds the forecasts, their outcomes and the verdicts."""
    whole = labels.with_columns(
        pl.lit(None, dtype=dtype).alias(name) for name, dtype in LABELS.schema.items() if name not in labels.columns
    )
    lake.merge(FORECASTS, forecasts)
    lake.merge(LABELS, whole.select(LABELS.names))
    lake.merge(VERDICTS, verdicts(*ALL))
    return lake


def test_day_by_day_gives_the_rows_of_one_jump(lived: Lake, tmp_path, copy_lake) -> None:
    daily = copy_lake(lived, tmp_path / "daily")
    update_blend_weights(lived, FixedClock(at(SESSIONS)))
    for session in range(0, SESSIONS, 7):
        update_blend_weights(daily, FixedClock(at(session)))
    update_blend_weights(daily, FixedClock(at(SESSIONS)))
    one, other = (lake.read(BLEND_WEIGHTS).sort("event_time") for lake in (lived, daily))
    assert one.height == SESSIONS
    assert later_outcomes_that_count(one, other) == 0
    assert update_blend_weights(lived, FixedClock(at(SESSIONS))).skipped


def later_outcomes_that_count(one: pl.DataFrame, other: pl.DataFrame) -> int:
    """Rows whose weights differ."""
    left, right = (np.stack(rows["model_weights"].to_list()) for rows in (one, other))
    return int((np.abs(left - right).max(axis=1) > 1e-9).sum())


def test_weights_that_know_later_outcomes_are_found(lived: Lake, tmp_path, copy_lake, monkeypatch) -> None:
    """The mutant: outcomes that count from the close of their forecast on."""
    daily = copy_lake(lived, tmp_path / "daily")
    known = learning.known_labels

    def at_once(lake: Lake, clock: FixedClock) -> pl.DataFrame:
        return known(lake, clock).with_columns(pl.col("event_time").alias("known_time"))

    monkeypatch.setattr(learning, "known_labels", at_once)
    update_blend_weights(lived, FixedClock(at(SESSIONS)))
    for session in range(0, SESSIONS, 7):
        update_blend_weights(daily, FixedClock(at(session)))
    update_blend_weights(daily, FixedClock(at(SESSIONS)))
    one, other = (lake.read(BLEND_WEIGHTS).sort("event_time") for lake in (lived, daily))
    assert later_outcomes_that_count(one, other) > 0


def test_without_a_forecast_it_says_what_is_missing(lake: Lake) -> None:
    with pytest.raises(NotReadyError, match="no forecast was replayed"):
        update_blend_weights(lake, FixedClock(at(3)))


@given(st.lists(st.floats(0, 50), min_size=1, max_size=8), st.floats(0.01, 10))
def test_weights_sum_to_one_and_the_lowest_loss_weighs_most(losses: list[float], unit: float) -> None:
    weights = exponential_weights(np.array(losses), unit, WeightRule())
    assert weights.sum() == pytest.approx(1.0)
    assert weights[int(np.argmin(losses))] == weights.max()
    assert ((weights == 0) | (weights >= 0.99 * WeightRule().least)).all()


def test_the_regret_is_bounded() -> None:
    """Against the best of five models in random worlds, by the bound of Cesa-Bianchi and Lugosi, theorem 2.2."""
    rate, random = 0.3, np.random.default_rng(3)
    rule = WeightRule(learning_rate=rate, half_life_sessions=1e12, least=0.0)
    for _ in range(20):
        losses = random.uniform(0, 1, (200, 5)) * random.uniform(0.5, 1.0, 5)
        before = np.vstack([np.zeros(5), losses.cumsum(axis=0)[:-1]])
        mine = sum(exponential_weights(total, 1.0, rule) @ now for total, now in zip(before, losses, strict=True))
        assert mine - losses.sum(axis=0).min() <= np.log(5) / rate + 200 * rate / 8


@pytest.mark.parametrize("change", [{"learning_rate": -1.0}, {"half_life_sessions": 0.0}, {"least": 1.0}])
def test_a_rule_that_cannot_weigh_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="expected at least 0"):
        WeightRule(**change)
