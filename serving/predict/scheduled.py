"""Scheduled forecasts of every symbol and horizon after each materialisation, stored like answered ones.

The newest forecast of a symbol is there without a request, and subscribers of the stream get it.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl
from filelock import FileLock

from lake.errors import NotReadyError
from lake.report import Report
from lake.tables import FORECASTS
from serving.forecast_log import drain
from serving.forecast_log.latest import LatestForecasts
from serving.predict.predictor import Predictor
from serving.predict.questions import Answers, Question

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake
    from serving.forecast_log import LogEntry

Say = Callable[[str], None]

NAME, KIND = "scheduled_forecasts", "scheduled"
LOCK = "scheduled.lock"
DIGITS = 9
"""Decimals to which two forecasts of a return are compared."""


def store_scheduled(lake: "Lake", settings: "Settings", say: Say) -> Report:
    """Forecast every symbol over every horizon from the online store, and store the forecasts that are new.

    Returns
    -------
    Report
        Of the forecasts looked at; skipped when each of them was stored before. ``details`` count the symbols that
        cannot be forecast over any horizon yet, as ``unavailable``, and those that lack one of several, as
        ``incomplete``.

    Raises
    ------
    ModelError
        If no model is in service, or an engine refuses.
    OnlineStoreError
        If nothing was ever materialised.
    LogError
        If the forecasts cannot be logged.
    """
    predictor = Predictor.open(settings)
    try:
        return schedule(lake, settings, predictor, say)
    finally:
        predictor.close()


def schedule(lake: "Lake", settings: "Settings", predictor: Predictor, say: Say) -> Report:
    """Do the work of `store_scheduled` with a predictor that is open.

    One process at a time does it, and what is in the log is brought to the lake before and after: so a run that was cut
    off anywhere is finished by the next one, and nothing is stored twice.
    """
    started = time.perf_counter()
    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / LOCK):
        drain(lake, settings)
        made, shadows, lacking = _forecast(predictor)
        fresh = _new(lake, made)
        if fresh:
            _log(predictor, settings, [*fresh, *_shadows_of(fresh, shadows)])
            drain(lake, settings)
            say(f"{len(fresh):,} forecasts stored, for {len({entry.row['symbol'] for entry in fresh}):,} symbols")
    forecast = {entry.row["symbol"] for entry in made}
    unavailable, incomplete = lacking.keys() - forecast, lacking.keys() & forecast
    times = [entry.row["event_time"] for entry in made]
    report = Report(
        name=NAME,
        rows=len(made),
        added=len(fresh),
        first=min(times, default=None),
        last=max(times, default=None),
        seconds=time.perf_counter() - started,
        details={"unavailable": len(unavailable), "incomplete": len(incomplete)},
    )
    if fresh:
        return report
    reason = "every symbol's forecast is stored already" if made else next(iter(lacking.values()), "no symbol")
    return replace(report, skipped=True).with_details(reason=reason)


def _forecast(predictor: Predictor) -> "tuple[list[LogEntry], list[LogEntry], dict[str, str]]":
    """Return forecasts of every symbol and horizon, those of challengers, and why symbols lack one or all of them."""
    symbols = predictor.online.symbols()
    if not symbols:
        return [], [], {}
    horizons = predictor.champions.current().horizons
    made: list[LogEntry] = []
    shadows: list[LogEntry] = []
    lacking: dict[str, str] = {}
    for answers in predictor.compute([Question(symbols, horizon, KIND) for horizon in horizons]):
        if isinstance(answers, Answers):
            made += answers.entries
            shadows += answers.shadows
            lacking |= dict(answers.unavailable)
        elif isinstance(answers, NotReadyError):
            lacking |= dict.fromkeys(symbols, str(answers))
        else:
            raise answers
    return made, shadows, lacking


def _shadows_of(fresh: "list[LogEntry]", shadows: "list[LogEntry]") -> "list[LogEntry]":
    """Return challengers' forecasts of the symbols and horizons that are stored now."""
    wanted = {(entry.row["symbol"], entry.row["horizon_sessions"]) for entry in fresh}
    return [entry for entry in shadows if (entry.row["symbol"], entry.row["horizon_sessions"]) in wanted]


def _new(lake: "Lake", made: "list[LogEntry]") -> "list[LogEntry]":
    """Return the forecasts that the lake does not hold: another session, other models or other numbers."""
    if not made or not lake.exists(FORECASTS):
        return made
    sessions = pl.Series([entry.row["event_time"] for entry in made], dtype=FORECASTS.schema["event_time"]).unique()
    stored = lake.read(FORECASTS, where=(pl.col("kind") == KIND) & pl.col("event_time").is_in(sessions.implode()))
    known = {_content(row) for row in stored.iter_rows(named=True)}
    return [entry for entry in made if _content(entry.row) not in known]


def _content(row: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what identifies a forecast's content, without its id and the time it was made."""
    names = ("symbol", "horizon_sessions", "event_time", "model_digest", "strategy", "regime", "feature_hash")
    return (*(row[name] for name in names), *(round(row[name], DIGITS) for name in ("p10", "p50", "p90")))


def _log(predictor: Predictor, settings: "Settings", entries: "list[LogEntry]") -> None:
    latest = LatestForecasts(settings, predictor.logged)
    latest.start(predictor.log)
    try:
        predictor.log.write(entries)
    finally:
        latest.close()
