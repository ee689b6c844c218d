"""What the platform decided and found: regimes, selections of strategies, drift and models, as known at an instant."""

from datetime import datetime
from typing import Any

import polars as pl

from lake.tables import DRIFT, EVALUATIONS, PROMOTIONS, REGIMES, SELECTIONS, VERDICTS
from serving import api
from serving.history.bars import EVERYTHING
from serving.history.known import KnownTables
from serving.history.moments import Span

CHAMPION, OVERALL = "champion", "overall"


def regimes_of(tables: KnownTables, at: datetime, *, span: Span = EVERYTHING) -> list[api.HistoryRegime]:
    """Return the regime of the market at each close, oldest first, as it was known at an instant."""
    known = tables.known(REGIMES, at).filter(span.holds, pl.col("market") == tables.market.index)
    shown = known.select(
        "event_time",
        "known_time",
        "regime",
        "volatility",
        "trend_gap",
        pl.col("high_volatility_probability").alias("turbulent_probability"),
        pl.col("uptrend_probability").alias("rising_probability"),
    )
    return [api.HistoryRegime(**row) for row in shown.sort("event_time").iter_rows(named=True)]


def selections_of(tables: KnownTables, at: datetime, *, regime: str | None = None) -> list[api.HistorySelection]:
    """Return every decision for the weights of strategies that was known at an instant, oldest first.

    Parameters
    ----------
    regime
        Only those of one regime.
    """
    known = tables.known(SELECTIONS, at)
    chosen = known if regime is None else known.filter(pl.col("regime") == regime)
    return [_selection(row) for row in chosen.sort("event_time", "regime").iter_rows(named=True)]


def drift_of(tables: KnownTables, at: datetime) -> list[api.HistoryDrift]:
    """Return the newest finding of drift about each subject and aspect that was known at an instant."""
    known = tables.known(DRIFT, at)
    newest = known.sort("event_time").group_by("subject", "aspect", maintain_order=True).last()
    names = list(api.HistoryDrift.model_fields)
    return [api.HistoryDrift(**row) for row in newest.sort("subject", "aspect").select(names).iter_rows(named=True)]


def models_of(tables: KnownTables, at: datetime) -> list[api.HistoryModel]:
    """Return the newest walk-forward score of each model and horizon that was known at an instant.

    Beside it stands the version that was champion then, by the moves of the alias known at the instant.
    """
    verdicts = tables.known(VERDICTS, at).sort("event_time", "known_time")
    newest = verdicts.group_by("model", "horizon_sessions", maintain_order=True).last()
    scores = tables.known(EVALUATIONS, at).filter(pl.col("fold") == OVERALL)
    moves = tables.known(PROMOTIONS, at).filter(pl.col("alias") == CHAMPION).sort("event_time")
    champions = moves.group_by("model_name").last()
    beside = newest.join(
        scores.select("experiment", "model", "horizon_sessions", "rows", "coverage"),
        on=["experiment", "model", "horizon_sessions"],
        how="left",
    ).join(
        champions.select(pl.col("model_name").alias("model"), pl.col("model_version").alias("champion_version")),
        on="model",
        how="left",
    )
    names = list(api.HistoryModel.model_fields)
    return [
        api.HistoryModel(**row) for row in beside.sort("horizon_sessions", "model").select(names).iter_rows(named=True)
    ]


def _selection(row: dict[str, Any]) -> api.HistorySelection:
    weights = dict(zip(row["strategies"], row["weights"], strict=True))
    probabilities = dict(zip(row["strategies"], row["probabilities"], strict=True))
    chosen = row["selected_strategy"]
    others = sorted((name for name in probabilities if name != chosen), key=lambda name: -probabilities[name])
    said = ("regime", "event_time", "known_time", "confidence", "e_value", "sessions", "reason")
    return api.HistorySelection(
        **{name: row[name] for name in said},
        chosen=chosen,
        runner_up=others[0] if others else None,
        weights=weights,
        probabilities=probabilities,
    )
