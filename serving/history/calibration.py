"""Records of bands and skill by symbol, regime and model, from the outcomes that were known at an instant."""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import polars as pl

from lake.tables import FORECAST_DECISIONS, FORECASTS, OUTCOMES
from serving import api
from serving.forecasts import REPLAY, VISIBLE
from serving.history.forecasts import ahead_of, made_by
from serving.history.known import KnownTables, was_known
from serving.history.outcomes import NAIVE, beside_naive, beside_outcomes, matured_of, once_each
from serving.history.records import ClosesOf, by_close, group_record, overlap_of
from serving.history.replayed_bands import record_in_replay

ALL = "all"
ANSWERS = ""
"""Name of the answered forecasts among the replayed models."""
Grouping = Literal["symbol", "regime", "model_name"]


def calibration_of(
    tables: KnownTables, symbol: str, horizon: int, at: datetime, *, model: str | None = None
) -> api.CalibrationAnswer:
    """Return how the bands of a symbol's forecasts have held, and what they gained on naive, in all and by regime.

    Parameters
    ----------
    horizon
        As the tables count it.
    model
        One model's replays; by default the forecasts that were answered.
    """
    closes, overlap = _closes_of(tables, symbol, horizon, at, model), overlap_of(tables.market, horizon)
    overall = _overall(closes, overlap)
    needs_replay = model is None and not overall.band.is_enough
    return api.CalibrationAnswer(
        symbol=symbol,
        as_of=at,
        **ahead_of(tables.market, horizon),
        model=model,
        overall=overall,
        band_in_replay=record_in_replay(tables, symbol, horizon, at) if needs_replay else None,
        regimes=_by_group(closes, "regime", overlap),
    )


def band_of(
    tables: KnownTables, symbol: str, horizon: int, at: datetime, *, model: str | None = None
) -> api.BandRecord:
    """Return the band of `calibration_of` over all regimes alone, without the records beside it."""
    closes = _closes_of(tables, symbol, horizon, at, model)
    return _overall(closes, overlap_of(tables.market, horizon)).band


def _closes_of(tables: KnownTables, symbol: str, horizon: int, at: datetime, model: str | None) -> pl.DataFrame:
    closes = tables.once(("closes", symbol, horizon, at), lambda: _closes_by_maker(tables, symbol, horizon, at))
    return closes.filter(pl.col("replayed_model") == (model or ANSWERS)).drop("replayed_model")


def _closes_by_maker(tables: KnownTables, symbol: str, horizon: int, at: datetime) -> pl.DataFrame:
    """Sums by close and regime of each model's replays, and of the answered forecasts under `ANSWERS`."""
    shown = (
        matured_of(tables, symbol, at)
        .lazy()
        .filter(pl.col("horizon_sessions") == horizon, pl.col("kind").is_in(VISIBLE))
    )
    maker = pl.when(pl.col("kind") == REPLAY).then("model_name").otherwise(pl.lit(ANSWERS))
    each = once_each(shown.with_columns(maker.alias("replayed_model")), "replayed_model")
    return by_close(each, "replayed_model", "regime").collect()


def _overall(closes: pl.DataFrame, overlap: int) -> api.GroupRecord:
    summed = closes.drop("regime").group_by("event_time", maintain_order=True).sum()
    return group_record(ALL, ClosesOf(summed, overlap))


def records_by(
    tables: KnownTables, by: Grouping, horizon: int, at: datetime, *, model: str | None = None
) -> list[api.GroupRecord]:
    """Return the records of every symbol, regime or model over one horizon, from one scan of the tables.

    Parameters
    ----------
    by
        ``model_name``: every model's replays, and the answered forecasts under the name of their blend.
    model
        For the other two groupings: one model's replays; by default the forecasts that were answered.
    """
    which = pl.col("kind").is_in(VISIBLE) if by == "model_name" else made_by(model)
    overlap = overlap_of(tables.market, horizon)
    versioned = (FORECASTS, OUTCOMES, FORECAST_DECISIONS)
    closes = tables.kept(
        ("records", by, horizon, model, at), versioned, lambda: _closes_by(tables, by, horizon, which, at)
    )
    return _by_group(closes, by, overlap)


def records_of_newest(tables: KnownTables, sessions: int, at: datetime) -> Iterator[tuple[int, api.GroupRecord]]:
    """Yield each horizon with the record of each model over it, from the newest sessions that have an outcome.

    Parameters
    ----------
    sessions
        How many of the newest sessions count that have an outcome of any model over the horizon.
    """
    which = pl.col("kind").is_in(VISIBLE)
    for horizon in tables.market.horizon_bars:
        closes = _closes_by(tables, "model_name", horizon, which, at)
        newest = closes.filter(pl.col("event_time").rank("dense", descending=True) <= sessions)
        for record in _by_group(newest, "model_name", overlap_of(tables.market, horizon)):
            yield horizon, record


def _closes_by(tables: KnownTables, by: Grouping, horizon: int, which: pl.Expr, at: datetime) -> pl.DataFrame:
    matured = matured_among(tables, horizon, which, at)
    return by_close(once_each(matured.filter(which)), by).collect()


def matured_among(tables: KnownTables, horizon: int, which: pl.Expr, at: datetime) -> pl.LazyFrame:
    """Return the forecasts of every symbol over one horizon whose outcome was known at an instant.

    Parameters
    ----------
    which
        Which forecasts are read; naive's replays are beside them.

    Returns
    -------
    pl.LazyFrame
        As `outcomes.matured_of` returns them; without rows where nothing was ever forecast, or has matured.
    """
    has_both = tables.reader.exists(FORECASTS) and tables.reader.exists(OUTCOMES)
    made = tables.reader.scan(FORECASTS) if has_both else FORECASTS.empty().lazy()
    outcomes = tables.reader.scan(OUTCOMES) if has_both else OUTCOMES.empty().lazy()
    read = made.filter(pl.col("horizon_sessions") == horizon, which | made_by(NAIVE), was_known(at))
    return beside_naive(beside_outcomes(read, outcomes.filter(was_known(at))))


def _by_group(closes: pl.DataFrame, by: Grouping, overlap: int) -> list[api.GroupRecord]:
    groups = closes.partition_by(by, as_dict=True, maintain_order=True)
    return [group_record(str(name), ClosesOf(rows, overlap)) for (name,), rows in sorted(groups.items())]
