"""One path makes forecasts: endpoint, schedule, walk-forward, scoring and replay give the same rows of one input."""

import struct
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from lake.tables import BLEND_WEIGHTS, FORECASTS
from serving.backfill import replay_forecasts, score_newest
from serving.deployment import load_engines
from serving.forecast_log import drain
from serving.forecasts import QUANTILES, blend
from serving.predict import Predictor
from serving.predict.making import make_forecasts
from serving.predict.scheduled import schedule
from serving.replay import backfills, recompute, replay
from support.blend import weights_row
from support.receipts import Home, copied

MODEL, HORIZONS = "ridge", (1, 5)
OWN = {"forecast_id", "kind", "made_at", "latency_ms"}
"""Columns that belong to one forecast alone."""
OF_THE_SERVICE = {"strategy", "known_time", "feature_table_versions"}
"""Columns that say more of an answer of the service: the strategy, when it was asked, and the tables behind both."""

Rows = dict[tuple[Any, ...], dict[str, Any]]


@pytest.fixture(scope="module")
def own(home: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home where one model has all the weight, with the forecasts of the newest session made in every way."""
    folder = tmp_path_factory.mktemp("maker")
    made = copied(home.settings, folder / "home", with_forecasts=False)
    _assign_one_model(made)
    engines = {MODEL: load_engines(made.settings)[MODEL]}
    apart = copied(made.settings, folder / "scored", with_forecasts=False)
    assert score_newest(apart.lake, engines, apart.clock, sessions=1).added > 0
    with running_redis(made.settings):
        materialize(made.lake, made.settings, made.clock.now())
        predictor = Predictor.open(made.settings)
        try:
            for horizon in HORIZONS:
                predictor.predict(predictor.online.symbols(), horizon)
            schedule(made.lake, made.settings, predictor, lambda _: None)
        finally:
            predictor.close()
    drain(made.lake, made.settings)
    assert replay_forecasts(made.lake, engines, made.clock, sessions=1).added > 0
    scored = apart.lake.read(FORECASTS).with_columns(pl.lit("scored").alias("kind"))
    scored.write_parquet(folder / "scored.parquet")
    return made


@pytest.fixture(scope="module")
def made(own: Home) -> dict[str, Rows]:
    """Rows by what made them, and by symbol, session and horizon."""
    scored = pl.read_parquet(own.settings.home.parent / "scored.parquet")
    found: dict[str, Rows] = {}
    for row in [*own.lake.read(FORECASTS).iter_rows(named=True), *scored.iter_rows(named=True)]:
        found.setdefault(row["kind"], {})[_key(row)] = row
    return found


def _assign_one_model(home: Home) -> None:
    now = home.clock.now() + timedelta(hours=1)
    home.clock.move_to(now)
    home.lake.merge(BLEND_WEIGHTS, weights_row(now, {horizon: {MODEL: 1.0} for horizon in HORIZONS}))


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["symbol"], row["event_time"], row["horizon_sessions"]


def _bits(row: dict[str, Any], *, without: set[str]) -> dict[str, Any]:
    """Return a row with its numbers as bytes, so that equal means equal to the last bit."""
    kept = {name: value for name, value in row.items() if name not in without}
    return {name: struct.pack("<d", value) if isinstance(value, float) else value for name, value in kept.items()}


@pytest.mark.parametrize(
    ("kind", "other", "differ"),
    [
        ("served", "scheduled", OWN),
        ("replay", "scored", {"kind", "made_at"}),
        ("served", "replay", OWN | OF_THE_SERVICE),
    ],
)
def test_rows_are_the_same_to_the_last_bit_but_for_declared_columns(
    made: dict[str, Rows], kind: str, other: str, differ: set[str]
) -> None:
    assert made[kind].keys() == made[other].keys()
    assert len(made[kind]) > 20
    for key, row in made[kind].items():
        assert _bits(row, without=differ) == _bits(made[other][key], without=differ)


def test_the_replay_makes_the_very_rows_that_are_stored(
    own: Home, made: dict[str, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    remade: list[dict[str, Any]] = []

    def watched(function: Any) -> Any:
        def call(*args: Any) -> Any:
            result = function(*args)
            remade.extend([result] if isinstance(result, dict) else result.iter_rows(named=True))
            return result

        return call

    monkeypatch.setattr(recompute, "remade_row", watched(recompute.remade_row))
    monkeypatch.setattr(backfills, "forecast_rows", watched(backfills.forecast_rows))
    results = replay(own.lake, own.settings)
    assert {result.verdict for result in results} == {"equal"}, [str(f) for r in results for f in r.faults][:3]
    stored = {row["forecast_id"]: row for kind in ("served", "scheduled", "replay") for row in made[kind].values()}
    assert {row["forecast_id"]: _bits(row, without=set()) for row in remade} == {
        name: _bits(row, without=set()) for name, row in stored.items()
    }


def test_a_window_has_the_same_forecast_alone_and_among_others() -> None:
    random = np.random.default_rng(3)
    names = ("lstm", "naive", "ridge")
    predictions = {name: np.sort(random.normal(size=(257, 2, 3)), axis=-1).astype(np.float32) for name in names}
    weights = dict(zip(names, np.moveaxis(random.dirichlet(np.ones(3), (257, 2)), -1, 0), strict=True))
    together = make_forecasts(predictions, weights, HORIZONS, [None] * 257)
    assert together.tobytes() == blend(predictions, weights).tobytes(), "without a calibration it is the blend"
    for place in range(257):
        alone = make_forecasts(
            {name: numbers[place : place + 1] for name, numbers in predictions.items()},
            {name: each[place : place + 1] for name, each in weights.items()},
            HORIZONS,
        )
        assert alone[0].tobytes() == together[place].tobytes()


def test_the_quantiles_of_a_row_are_in_order(made: dict[str, Rows]) -> None:
    for row in made["served"].values():
        assert [row[name] for name in QUANTILES] == sorted(row[name] for name in QUANTILES)
