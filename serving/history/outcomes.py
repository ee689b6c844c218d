"""Matured forecasts beside what happened, as it was known at an instant."""

from datetime import datetime

import polars as pl

from lake.tables import FORECAST_DECISIONS, FORECASTS, OUTCOMES
from serving import api
from serving.history.bars import EVERYTHING
from serving.history.forecasts import ahead_of, made_by
from serving.history.known import KnownTables, as_known
from serving.history.moments import Span
from serving.history.paging import RowsPage

NAIVE = "naive"
"""Model that every other one is judged against: it forecasts no change, in a band of recent volatility."""
OF_CLOSE = ("symbol", "event_time", "horizon_sessions")
RESULT = ("forecast_id", "known_time", "realised_return", "is_covered", "is_direction_hit", "pinball_loss")


def outcomes_of(
    tables: KnownTables,
    symbol: str,
    horizon: int,
    at: datetime,
    *,
    model: str | None = None,
    span: Span = EVERYTHING,
    page: RowsPage | None = None,
) -> api.OutcomesAnswer:
    """Return the forecasts of a symbol whose outcome was known at an instant, each beside naive's loss.

    Parameters
    ----------
    horizon
        As the tables count it.
    model
        One model's replays; by default the forecasts that were answered.
    span
        Of the closes that the forecasts knew.
    """
    matured = matured_of(tables, symbol, at).filter(made_by(model), pl.col("horizon_sessions") == horizon)
    matured = matured.filter(span.holds).sort("event_time", "known_time", "forecast_id")
    rows, next_offset = (page or RowsPage()).of(matured)
    names = [name for name in api.HistoryOutcome.model_fields if name != "is_inside"]
    shown = rows.select(pl.col("is_covered").alias("is_inside"), *names)
    return api.OutcomesAnswer(
        symbol=symbol,
        as_of=at,
        **ahead_of(tables.market, horizon),
        rows_in_all=matured.height,
        next_offset=next_offset,
        outcomes=[api.HistoryOutcome(**row) for row in shown.iter_rows(named=True)],
    )


def matured_of(tables: KnownTables, symbol: str, at: datetime) -> pl.DataFrame:
    """Return every forecast of a symbol whose outcome was known at an instant.

    Returns
    -------
    pl.DataFrame
        Columns of `forecasts`, but ``known_time`` of the outcome, with those of `outcomes` and ``naive_loss``, null
        where no naive forecast of the same close and horizon has matured.
    """
    return tables.once(("matured", symbol, at), lambda: _matured(tables, symbol, at))


def _matured(tables: KnownTables, symbol: str, at: datetime) -> pl.DataFrame:
    outcomes = tables.kept(
        ("outcomes", symbol), (FORECASTS, OUTCOMES, FORECAST_DECISIONS), lambda: _all(tables, symbol)
    )
    made = tables.known(FORECASTS, at, symbol=symbol)
    return beside_naive(beside_outcomes(made.lazy(), as_known(OUTCOMES, outcomes, at).lazy())).collect()


def beside_outcomes(forecasts: pl.LazyFrame, outcomes: pl.LazyFrame) -> pl.LazyFrame:
    """Return the forecasts that have an outcome among some, with what it says; ``known_time`` is the outcome's."""
    return forecasts.drop("known_time").join(outcomes.select(RESULT), on="forecast_id")


def beside_naive(matured: pl.LazyFrame) -> pl.LazyFrame:
    """Add the loss of the naive replay of the same close and horizon as ``naive_loss``."""
    naive = matured.filter(made_by(NAIVE)).select(*OF_CLOSE, pl.col("pinball_loss").alias("naive_loss"))
    return matured.join(naive.unique(OF_CLOSE, keep="any"), on=OF_CLOSE, how="left")


def once_each(matured: pl.LazyFrame, *groups: str) -> pl.LazyFrame:
    """Keep one forecast of each model, close and horizon, the one that was made first, within each group if any.

    A question that was asked a thousand times is one forecast that came true, or did not.
    """
    return matured.sort("made_at").unique([*OF_CLOSE, "model_name", *groups], keep="first", maintain_order=True)


def _all(tables: KnownTables, symbol: str) -> pl.DataFrame:
    """Every outcome of a symbol's forecasts, whenever it was known."""
    if not tables.reader.exists(OUTCOMES) or not tables.reader.exists(FORECASTS):
        return OUTCOMES.empty()
    ids = tables.reader.scan(FORECASTS).filter(pl.col("symbol") == symbol).select("forecast_id")
    return tables.reader.scan(OUTCOMES).join(ids, on="forecast_id", how="semi").collect()
