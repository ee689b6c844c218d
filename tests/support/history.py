"""A lake with a history: replayed, answered and tried forecasts that matured, and the decisions of every session."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lake.clock import FixedClock
from lake.spec import TableSpec
from lake.store import Lake
from lake.tables import BARS, DRIFT, EVALUATIONS, FORECASTS, PROMOTIONS, REGIMES, SELECTIONS, VERDICTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.engines import Engine

MODELS = ("naive", "ridge")
POOL = ["naive", "ridge", "buy_and_hold"]
LATE = timedelta(hours=30)
"""After this time a bar is restated and a served forecast was made: beyond the next close."""


def lived_through(lake: Lake, engines: "Mapping[str, Engine]", now: datetime, sessions: int) -> Lake:
    """Fill a lake with bars and features with forecasts of its last sessions, their outcomes and the decisions."""
    from serving.backfill import replay_forecasts
    from serving.blend_weights import update_blend_weights
    from serving.calibration import update_calibrations
    from serving.outcomes import mature

    clock = FixedClock(now)
    replay_forecasts(lake, engines, clock, sessions=sessions)
    replayed = lake.read(FORECASTS, where=pl.col("model_name") == "ridge")
    for kind, delay in (("scheduled", timedelta()), ("served", LATE), ("shadow", timedelta()), ("trial", timedelta())):
        lake.merge(FORECASTS, _as(replayed, kind, delay))
    mature(lake, clock)
    update_blend_weights(lake, clock)
    update_calibrations(lake, clock)
    closes = lake.read(FORECASTS)["event_time"].unique().sort().to_list()
    for spec, rows in _decisions(closes, lake.read(REGIMES)).items():
        lake.merge(spec, rows)
    restate_bars(lake, closes)
    return lake


def restate_bars(lake: Lake, closes: Sequence[datetime]) -> None:
    """Restate the close of every bar of some sessions a day and a half later, to half as much again."""
    wrong = lake.read(BARS, where=pl.col("event_time").is_in(list(closes)))
    prices = [pl.col(name) * 1.5 for name in ("open", "high", "low", "close")]
    lake.merge(BARS, wrong.with_columns(*prices, pl.col("known_time") + LATE))


def cut_off(lake: Lake, at: datetime, folder: Path, specs: Sequence[TableSpec]) -> Lake:
    """Return a lake with those rows of some tables alone that were known at an instant."""
    cut = Lake(folder)
    for spec in specs:
        if lake.exists(spec):
            cut.merge(spec, lake.read(spec, where=pl.col("known_time") <= at))
    return cut


def instants_in(value: Any, name: str = "known_time") -> Iterator[datetime]:
    """Yield every value of a name in nested dictionaries and lists, whatever stands before it in the name."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key.endswith(name) and isinstance(inner, datetime):
                yield inner
            yield from instants_in(inner, name)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from instants_in(inner, name)


def _as(replayed: pl.DataFrame, kind: str, delay: timedelta) -> pl.DataFrame:
    is_answered = kind in {"scheduled", "served"}
    model = pl.lit("blend") if is_answered else pl.col("model_name")
    latency = pl.col("p50").abs() * 1e3 if is_answered else pl.col("latency_ms")
    return replayed.with_columns(
        pl.lit(kind).alias("kind"),
        model.alias("model_name"),
        latency.alias("latency_ms"),
        pl.col("forecast_id") + f"-{kind}",
        pl.col("known_time") + delay,
        pl.col("made_at") + delay,
    )


def _decisions(closes: Sequence[datetime], regimes: pl.DataFrame) -> dict[TableSpec, pl.DataFrame]:
    """Decisions of every fifth session, each with other numbers."""
    by_close = dict(regimes.select("event_time", "regime").iter_rows())
    rows: dict[TableSpec, list[dict[str, Any]]] = {
        spec: [] for spec in (SELECTIONS, DRIFT, EVALUATIONS, VERDICTS, PROMOTIONS)
    }
    for place, close in enumerate(closes[::5], start=1):
        stamps = {"event_time": close, "known_time": close}
        rows[SELECTIONS].append(_selection(place, by_close[close]) | stamps)
        rows[DRIFT].append(_drift(place) | stamps)
        for model in MODELS:
            rows[EVALUATIONS].append(_score(place, model) | stamps)
            rows[VERDICTS].append(_verdict(place, model) | stamps)
            rows[PROMOTIONS].append(_move(place, model) | stamps)
    return {spec: pl.DataFrame(given, schema=spec.schema) for spec, given in rows.items()}


def _selection(place: int, regime: str) -> dict[str, Any]:
    first = 1 / (place + 2)
    return {
        "regime": regime,
        "selected_strategy": "ridge",
        "strategies": POOL,
        "weights": [first, 1 - first, 0.0],
        "probabilities": [0.1, 0.6, 0.3],
        "confidence": 0.5 + first / 4,
        "e_value": float(place),
        "sessions": place,
        "reason": f"Review {place}.",
    }


def _drift(place: int) -> dict[str, Any]:
    numbers = {"statistic": float(place), "p_value": 1 / place, "adjusted_p_value": 1 / place}
    return {"subject": "return_1d", "aspect": "level", "is_drifted": place > 2, "method": "blocks", **numbers}


def _score(place: int, model: str) -> dict[str, Any]:
    return {
        "experiment": f"test@{place}",
        "model": model,
        "fold": "overall",
        "horizon_sessions": 1,
        "rows": 100 * place,
        "mean_absolute_error": 0.01,
        "pinball_loss": 0.004,
        "information_coefficient": None,
        "information_coefficient_t": None,
        "hit_rate": None,
        "coverage": 0.8,
        "beats_naive": False,
        "advantage_t": None,
    }


def _verdict(place: int, model: str) -> dict[str, Any]:
    return {
        "experiment": f"test@{place}",
        "model": model,
        "horizon_sessions": 1,
        "is_baseline": model == "naive",
        "is_constant": False,
        "best_baseline": "naive",
        "pinball_loss": 0.004 / place,
        "seeds": 1,
        "loss_spread": None,
        "gain": 0.01 * place,
        "gain_t": 1.0,
        "p_value": None,
        "folds_won": 1,
        "folds": 1,
        "beats_best_baseline": False,
        "hit_rate": None,
        "base_rate": 0.5,
    }


def _move(place: int, model: str) -> dict[str, Any]:
    return {
        "model_name": model,
        "alias": "champion",
        "model_version": str(place),
        "model_digest": "0" * 64,
        "previous_version": None,
        "evidence": json.dumps({"what": "model.promote"}),
    }
