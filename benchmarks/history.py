"""What the pages draw: the watch list of a large market and the data of one symbol's page, read from Delta tables."""

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from benchmarks.report import Topic
from benchmarks.timing import timed
from feature_repo.materialize import update_labels
from lake.clock import DEMO_START, FixedClock
from lake.market import Market
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, BLEND_WEIGHTS, FORECASTS
from serving.api import WatchRow
from serving.forecasts import REPLAY
from serving.history import (
    KnownTables,
    RowsPage,
    bars_of,
    calibration_of,
    forecasts_of,
    outcomes_of,
    watch_list,
    watch_rows,
    watched_symbols,
)
from serving.outcomes import mature

LONG = "LONG"
REPEATED = 20
HEADER = ("what", "rows", "first read", "as of another instant, median", "again, median", "peak memory above rest")
REPLAYED = {"naive": 0.2, "garch": 0.3, "har": 0.5}
"""Models that were replayed, and their weights."""
PART = 50


def measure(*, symbols: int = 5_000, sessions: int = 250, forecast: int = 20, long: int = 2_500) -> Topic:
    """Measure the reads of the watch list and of a symbol page on a market that never was.

    Parameters
    ----------
    symbols, sessions
        Size of the market.
    forecast
        Its last sessions at which each symbol has an answered forecast, one session ahead; replays it has of all.
    long
        Sessions and forecasts of one symbol more, whose page is read.
    """
    with tempfile.TemporaryDirectory() as name:
        Market("generated", source="generated", index="S0000", currency="USD").write(Path(name))
        lake = _filled(Lake(Path(name) / "tables"), symbols, sessions, forecast, long)
        names = [f"S{number:04d}" for number in range(symbols)]
        closes = lake.read(BARS, where=pl.col("symbol") == LONG)["event_time"].sort().to_list()
        rows = [
            _measured("watch list, part of 50", lake, closes, lambda tables, at: _part(tables, names, at)),
            _measured("symbol page: bars, forecasts, outcomes, record", lake, closes, _page),
            _measured("watch list, every row", lake, closes, lambda tables, at: watch_list(tables, names, 1, at)),
        ]
        size = sum(lake.report(spec).rows for spec in (BARS, FORECASTS))
    text = (
        f"{symbols:,} symbols x {sessions} sessions replayed by three models and answered at the last {forecast}, and "
        f"one symbol of {long:,}: {size:,} bars and forecasts. The first read opens the tables; later instants of a "
        "symbol's page cost no read. Peak memory is the highest of the process so far, above what it held before."
    )
    return Topic("History as of an instant", text, HEADER, tuple(rows))


def _part(tables: KnownTables, names: list[str], at: datetime) -> list[WatchRow]:
    """Read what the first part of a watch list shows, the largest forecasts first."""
    watched = watched_symbols(tables, names, 1, at).sort("p50", "symbol", descending=[True, False])
    return watch_rows(tables, watched.head(PART), 1, at)


def _page(tables: KnownTables, at: datetime) -> list[object]:
    """Read what a symbol page draws."""
    bars = bars_of(tables, LONG, at, page=RowsPage(2_500)).bars
    forecasts = forecasts_of(tables, LONG, 1, at).forecasts
    outcomes = outcomes_of(tables, LONG, 1, at).outcomes
    return [*bars, *forecasts, *outcomes, calibration_of(tables, LONG, 1, at)]


def _measured(
    what: str, lake: Lake, closes: list[datetime], ask: Callable[[KnownTables, datetime], Sequence[object]]
) -> tuple[str, ...]:
    tables, before = KnownTables(lake), _resident()
    started = time.perf_counter()
    rows = len(ask(tables, closes[-1]))
    first = 1e3 * (time.perf_counter() - started)
    other = sorted(timed(partial(ask, tables, at)) for at in closes[-REPEATED - 1 : -1])
    again = sorted(timed(lambda: ask(tables, closes[-1])) for _ in range(REPEATED))
    middle = (f"{1e3 * each[REPEATED // 2]:.0f} ms" for each in (other, again))
    peak = max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before, 0.0)
    return what, f"{rows:,}", f"{first:.0f} ms", *middle, f"{peak:.0f} MiB"


def _resident() -> float:
    """Memory of the process in MiB; Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def _filled(lake: Lake, symbols: int, sessions: int, forecast: int, long: int) -> Lake:
    """Fill a lake with bars, answered and naive forecasts of the last sessions, and their outcomes."""
    bars = pl.concat([tiny_market(symbols, sessions, seed=19), tiny_market([LONG], long, seed=20)])
    lake.merge(BARS, bars)
    recent = bars["event_time"].unique().sort().tail(forecast)[0]
    asked = bars.filter((pl.col("event_time") >= recent) | (pl.col("symbol") == LONG))
    lake.merge(FORECASTS, _forecasts(asked, "scheduled", "blend"))
    for model in REPLAYED:
        lake.merge(FORECASTS, _forecasts(bars, REPLAY, model))
    lake.merge(BLEND_WEIGHTS, _weights(bars["event_time"].unique().sort().to_list()))
    clock = FixedClock(DEMO_START)
    update_labels(lake, clock)
    mature(lake, clock)
    return lake


def _weights(closes: list[datetime]) -> pl.DataFrame:
    """Weights of the replayed models at each close, of which each is a row."""
    models, count = list(REPLAYED), len(REPLAYED)
    said = ([1] * count, models, list(REPLAYED.values()), [0.01] * count, [1.0] * count, ["generated"] * count)
    rows = [("S0000", close, close, *said) for close in closes]
    return pl.DataFrame(rows, schema=BLEND_WEIGHTS.schema, orient="row")


def _forecasts(bars: pl.DataFrame, kind: str, model: str) -> pl.DataFrame:
    """One forecast of each bar, one session ahead, with the same band."""
    number = pl.int_range(pl.len()).cast(pl.String).str.zfill(26)
    band = {"p10": -0.018, "p50": 0.0, "p90": 0.018}
    said = {
        "kind": kind, "model_name": model, "model_version": "1", "model_digest": "0" * 64,
        "strategy": "equal_weight", "regime": "low_volatility_uptrend", "feature_table_versions": "{}",
        "feature_hash": "0" * 64,
    }  # fmt: skip
    return bars.with_columns(
        (pl.lit(f"{kind[:6]}-{model}-") + number).alias("forecast_id"),
        pl.col("event_time").alias("made_at") + timedelta(minutes=1),
        pl.lit(1, dtype=pl.Int32).alias("horizon_sessions"),
        pl.col("close_traded").alias("reference_price"),
        pl.lit(1.0).alias("latency_ms"),
        pl.lit(value=False).alias("degraded"),
        pl.lit("USD").alias("currency"),
        pl.lit(None, dtype=pl.Date).alias("target_session"),
        *(pl.lit(value).alias(name) for name, value in (said | band).items()),
    ).select(FORECASTS.names)
