"""Advice for some symbols from the tables alone: no service, no engine, nothing stored."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from lake import calendars
from lake.errors import NotReadyError
from lake.tables import CALIBRATIONS, FORECASTS
from serving import api
from serving.advice.advising import advise
from serving.advice.answering import AdviceReasons, Occasion, answer_of
from serving.advice.asked import AdviceQuestion, AdvisedForecast, BookContext
from serving.advice.gate import SwitchGate
from serving.advice.gathering import range_of, records_of
from serving.advice.limits import limits_of, paper_costs
from serving.advice.reliability import CallRecord, bucket_of
from serving.forecasts import ANSWERED, confidence
from serving.history import KnownTables

if TYPE_CHECKING:
    from pathlib import Path

    from lake.store import LakeReader

NO_ENGINE = "contributions need the running service; `quantlake recommend` asks it"


class Unadvised(NamedTuple):
    """A symbol without advice, and why."""

    symbol: str
    reason: str


def advice_for(
    lake: "LakeReader",
    symbols: Sequence[str],
    context: api.PortfolioContext,
    at: datetime,
    *,
    home: "Path",
    horizon: int | None = None,
) -> tuple[list[api.RecommendAnswer], list[Unadvised]]:
    """Return what would be advised on the newest forecasts in the lake; nothing is logged.

    Parameters
    ----------
    lake
        Tables that are read.
    symbols
        Each once.
    context
        The book, the same for each symbol.
    at
        Market time: nothing that became known later is used.
    home
        Folder of the home, whose switch is looked at.
    horizon
        Bars ahead; the nearest of the market by default.

    Returns
    -------
    tuple
        Answers in the order of the symbols, and the symbols that have no forecast.

    Raises
    ------
    NotReadyError
        If no symbol has a forecast.
    """
    tables, bars = KnownTables(lake).for_one_answer(), horizon or lake.market.horizon_bars[0]
    records = records_of(tables, bars, at)
    answers, without = list[api.RecommendAnswer](), list[Unadvised]()
    for symbol in symbols:
        row = _newest(tables, symbol, bars, at)
        if row is None:
            ahead = lake.market.horizon_of(bars)
            without.append(Unadvised(symbol, f"no answered forecast over {ahead} was known at {at:%Y-%m-%d %H:%M} UTC"))
            continue
        question = _question(tables, row, context, at, home, records)
        because = AdviceReasons(no_contributions_because=NO_ENGINE, no_flip_because=NO_ENGINE)
        answers.append(answer_of(question, advise(question), because, Occasion(lake.market, at, context)))
    if not answers:
        raise NotReadyError(
            "There is nothing to advise on: " + "; ".join(f"{each.symbol}: {each.reason}" for each in without) + ". "
            f"Forecasts are made with each session: `{lake.market.next_run}`."
        )
    return answers, without


def _newest(tables: KnownTables, symbol: str, horizon: int, at: datetime) -> dict[str, Any] | None:
    """Row of the newest answered forecast of a symbol that was known at an instant."""
    made = tables.known(FORECASTS, at, symbol=symbol)
    mine = made.filter(pl.col("kind").is_in(ANSWERED), pl.col("horizon_sessions") == horizon)
    return mine.sort("event_time", "made_at").tail(1).to_dicts()[0] if mine.height else None


def _question(
    tables: KnownTables,
    row: dict[str, Any],
    context: api.PortfolioContext,
    at: datetime,
    home: "Path",
    records: tuple[CallRecord, ...],
) -> AdviceQuestion:
    market = tables.market
    trust = _trust(tables, row)
    sure = confidence(row["p10"], row["p50"], row["p90"], trust=1.0 if trust is None else trust)
    forecast = AdvisedForecast(
        forecast_id=row["forecast_id"],
        symbol=row["symbol"],
        as_of=row["event_time"],
        horizon_bars=row["horizon_sessions"],
        p10=row["p10"],
        p50=row["p50"],
        p90=row["p90"],
        confidence=sure,
        reference_price=row["reference_price"] if row["price_basis"] == "as_traded" else None,
        is_calibrated=trust is not None,
        age_bars=calendars.count_closes(row["event_time"], at, market.grid),
        is_degraded=row["degraded"],
        atr=range_of(tables, row["symbol"], at),
        bars_per_year=calendars.bars_per_year(market.grid),
    )
    book = BookContext(context.current_position, context.equity, context.risk_tolerance)
    record, gate = records[bucket_of(sure)], SwitchGate(home).read(row["symbol"])
    return AdviceQuestion(forecast, book, record, paper_costs(), limits_of(context.risk_tolerance), gate)


def _trust(tables: KnownTables, row: dict[str, Any]) -> float | None:
    """Trust in the probability that was in force when a forecast was made; None where it was not calibrated."""
    known = tables.known(CALIBRATIONS, row["known_time"]).filter(pl.col("event_time") <= row["event_time"])
    if known.is_empty():
        return None
    entry = known.sort("event_time").row(-1, named=True)
    of_regime = zip(entry["regimes"], entry["horizons"], entry["trust"], strict=True)
    found = {(regime, bars): trust for regime, bars, trust in of_regime}
    return found.get((row["regime"], row["horizon_sessions"]))
