"""Past accuracy of a symbol: each forecast beside what came, and its record in all, by regime and by quarter."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NamedTuple

import polars as pl

from serving import api
from serving.forecasts import is_direction_hit, pinball_loss
from serving.history.forecasts import ahead_of, made_by
from serving.history.known import KnownTables
from serving.history.outcomes import NAIVE, matured_of, once_each
from serving.history.paging import RowsPage
from serving.history.records import LEAST_OUTCOMES, ClosesOf, by_close, group_record, hit_record, overlap_of
from serving.history.replayed_bands import REALISED, VERB, replayed_of

ALL = "all"
QUARTER = pl.format("{} Q{}", pl.col("event_time").dt.year(), pl.col("event_time").dt.quarter())


class _Judged(NamedTuple):
    """Which record is told, and its forecasts with their scores, one for each close, oldest first."""

    record: api.RecordKind
    rows: pl.DataFrame


def accuracy_of(
    tables: KnownTables,
    symbol: str,
    horizon: int,
    at: datetime,
    *,
    model: str | None = None,
    page: RowsPage | None = None,
) -> api.AccuracyAnswer:
    """Return what came of the forecasts of a symbol, as it was known at an instant.

    Forecasts that were answered are told once 30 of them have an outcome. Until then the blend's replays are, where
    there are 30 of these: never both together. It is the record that a badge tells.

    Parameters
    ----------
    horizon
        As the tables count it.
    model
        One model's replays; by default the forecasts that were answered, or the replays of their blend.
    page
        Of the points; the records are always of all of them.
    """
    judged = _judged(tables, symbol, horizon, at, model)
    verb = VERB if judged.record == "in_replay" else "held"
    group = partial(_group, overlap=overlap_of(tables.market, horizon), verb=verb)
    shown, next_offset = (page or RowsPage()).of(judged.rows)
    points = shown.rename({"is_covered": "is_inside"}).select(list(api.AccuracyPoint.model_fields))
    return api.AccuracyAnswer(
        symbol=symbol,
        as_of=at,
        **ahead_of(tables.market, horizon),
        model=model,
        record=judged.record,
        rows_in_all=judged.rows.height,
        next_offset=next_offset,
        overall=group(ALL, judged.rows),
        regimes=_grouped(judged.rows, pl.col("regime"), group),
        quarters=_grouped(judged.rows, QUARTER, group),
        points=[api.AccuracyPoint(**row) for row in points.iter_rows(named=True)],
    )


def _judged(tables: KnownTables, symbol: str, horizon: int, at: datetime, model: str | None) -> _Judged:
    matured = matured_of(tables, symbol, at).filter(pl.col("horizon_sessions") == horizon)
    told = once_each(matured.lazy().filter(made_by(model))).sort("event_time").collect()
    if model is not None:
        return _Judged("walk_forward", told)
    if told.height < LEAST_OUTCOMES:
        replayed = replayed_of(tables, [symbol], horizon, at)
        if replayed.height >= LEAST_OUTCOMES:
            return _Judged("in_replay", _scored(replayed, matured.filter(made_by(NAIVE))))
    return _Judged("answered", told)


def _scored(replayed: pl.DataFrame, naive: pl.DataFrame) -> pl.DataFrame:
    """Score replayed forecasts as matured ones are, beside the naive forecast of the same close."""
    beside = naive.unique("event_time", keep="any").select("event_time", pl.col("pinball_loss").alias("naive_loss"))
    scores = (
        is_direction_hit(REALISED).alias("is_direction_hit"),
        pinball_loss(REALISED).alias("pinball_loss"),
    )
    return replayed.with_columns(*scores).join(beside, on="event_time", how="left").sort("event_time")


def _grouped(
    rows: pl.DataFrame, by: pl.Expr, record: Callable[[str, pl.DataFrame], api.AccuracyGroup]
) -> list[api.AccuracyGroup]:
    parts = rows.with_columns(by.alias("group")).partition_by("group", as_dict=True, maintain_order=True)
    return [record(str(name), part) for (name,), part in sorted(parts.items())]


def _group(name: str, rows: pl.DataFrame, overlap: int, verb: str) -> api.AccuracyGroup:
    record = group_record(name, ClosesOf(by_close(rows.lazy()).collect(), overlap), verb=verb)
    directed = rows["is_direction_hit"].drop_nulls()
    hits = hit_record(len(directed), int(directed.sum()), len(directed), overlap)
    return api.AccuracyGroup(group=record.group, band=record.band, skill=record.skill, hits=hits)
