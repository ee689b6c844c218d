"""Forecasts of the session that has just closed, by every model in service, from the stored model inputs.

They are the forecasts that `serving.backfill.walk_forward` would make for that session, row for row, without reading
the features again. Where the stored inputs may differ from those, the walk-forward makes the forecasts.
"""

import json
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from feature_repo.targets import FORECAST_V2, WindowSpec, to_model_input
from lake.calendars import close_before, last_close
from lake.clock import Clock, SystemClock
from lake.report import Report
from lake.store import Lake
from lake.tables import FORECASTS, MODEL_WINDOWS, RECEIPTS, REGIMES
from serving.backfill.walk_forward import (
    WindowBatch,
    forecast_rows,
    receipts_of,
    replay_forecasts,
    require_no_look_ahead,
)
from serving.forecasts import REPLAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving.engines import Engine


def score_newest(
    lake: Lake, engines: "Mapping[str, Engine]", clock: Clock, spec: WindowSpec = FORECAST_V2, *, sessions: int = 250
) -> Report:
    """Forecast the newest session by every model that has not forecast it yet.

    Parameters
    ----------
    engines
        Loaded models by name.
    sessions
        Sessions that a model without forecasts begins with; see `serving.backfill.walk_forward`.

    Returns
    -------
    Report
        Of `forecasts`; ``details["scored"]`` counts the new ones by model. Skipped when there was nothing to forecast.
    """
    started, now = time.perf_counter(), clock.now()
    windows = _newest_windows(lake, now, spec)
    session: datetime | None = windows["event_time"].max() if windows.height else None  # type: ignore[assignment]
    waiting = None if session is None else _waiting(lake, engines, session, sessions)
    delay = lake.market.decided_after
    if waiting is None or session is None or not _as_known_when_decided(windows, delay) or session + delay > now:
        return replay_forecasts(lake, engines, clock, sessions, spec)
    batch = _batch(lake, windows, session, spec)
    if not waiting or not batch.keys.height:
        return lake.report(FORECASTS, started=started).with_details(
            reason="every model has forecast the newest session"
        )
    for name in waiting:
        require_no_look_ahead(engines[name], session)
    made_at = SystemClock().now()
    rows = pl.concat([forecast_rows(engines[name], batch, made_at) for name in waiting])
    at_work = [engines[name] for name in waiting]
    lake.merge(RECEIPTS, receipts_of(at_work, made_at, session, json.loads(batch.versions)))
    report = lake.merge(FORECASTS, rows)
    counts = dict(rows.group_by("model_name").len().sort("model_name").iter_rows())
    return report.with_details(seconds=time.perf_counter() - started, scored=counts)


def _newest_windows(lake: Lake, now: datetime, spec: WindowSpec) -> pl.DataFrame:
    """Read every stored version of the inputs of the newest session that is known."""
    if not lake.exists(MODEL_WINDOWS):
        return MODEL_WINDOWS.empty()
    known = (pl.col("known_time") <= now) & (pl.col("signature") == spec.name)
    close = last_close(now, lake.market.grid)
    for start in (close, None):
        inside = known if start is None else known & (pl.col("event_time") >= start)
        rows = lake.read(MODEL_WINDOWS, where=inside)
        if rows.height:
            return rows.filter(pl.col("event_time") == pl.col("event_time").max())
    return MODEL_WINDOWS.empty()


def _as_known_when_decided(windows: pl.DataFrame, delay: timedelta) -> bool:
    """Whether the inputs are those that the walk-forward would cut: one per symbol, known when its close is decided."""
    return bool((windows["known_time"] <= windows["event_time"] + delay).all()) and windows["symbol"].is_unique().all()


def _waiting(lake: Lake, engines: "Mapping[str, Engine]", session: datetime, sessions: int) -> list[str] | None:
    """Return models that have only the newest session to forecast; None if one has earlier sessions as well."""
    before = close_before(session, 1, lake.market.grid)
    done: set[tuple[str, datetime]] = set()
    if lake.exists(FORECASTS):
        is_recent = (pl.col("kind") == REPLAY) & (pl.col("event_time") >= before)
        recent = lake.scan(FORECASTS).filter(is_recent).select("model_name", "event_time").unique().collect()
        done = set(recent.iter_rows())
    names = [name for name in engines if (name, session) not in done]
    is_next = all((name, before) in done or sessions == 1 for name in names)
    return names if is_next else None


def _batch(lake: Lake, windows: pl.DataFrame, session: datetime, spec: WindowSpec) -> WindowBatch:
    version = lake.version(REGIMES)
    delay = lake.market.decided_after
    regimes = lake.read_as_of(REGIMES, session + delay, where=pl.col("event_time") == session, version=version)
    keys = windows.sort("symbol").join(regimes.select("event_time", "regime"), on="event_time", maintain_order="left")
    values = keys["window"].list.explode().to_numpy().reshape(-1, *spec.shape).astype(np.float32, copy=False)
    names = ["symbol", "event_time", "reference_price", "price_basis", "regime", "feature_hash"]
    versions = json.loads(keys["table_versions"][0]) if keys.height else {}
    read = json.dumps(versions | {REGIMES.name: version}, sort_keys=True)
    return WindowBatch(keys.select(names), to_model_input(values), read, lake.market, delay)
