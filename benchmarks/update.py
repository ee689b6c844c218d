"""One more session: the features beside a full computation (P5), and the whole update beside its bare stages (P15)."""

import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import polars as pl
from polars.testing import assert_frame_equal

from benchmarks.report import RATIO, Figure, Topic
from benchmarks.timing import timed
from dagster_project.resources import GivenPlatform
from dagster_project.runs import (
    SAMPLE_MODELS,
    generated_platform,
    median_seconds,
    scratch_settings,
    seconds_together,
    seconds_until_served,
    update_each_session,
)
from feature_repo.catalog import FEATURES_TECHNICAL, TECHNICAL
from feature_repo.engines import LocalEngine, compute_group
from feature_repo.materialize import RECENT_BAR_COLUMNS, update_group
from feature_repo.online.redis_server import connect, redis_url, running_redis
from feature_repo.targets import FORECAST_V2, build_windows, to_model_input, window_hash
from lake.calendars import next_closes
from lake.clock import DEMO_START, FixedClock
from lake.refine import refine_bars
from lake.sources import GeneratedMarket
from lake.store import Lake, read_look_back
from lake.tables import BARS, FORECASTS, MODEL_WINDOWS, RAW_BARS
from training.models import MODELS

SYMBOLS, HISTORY, SESSIONS = 5_000, 1_260, 6
"""Symbols, sessions before the first update (five years), and updates, the first of which is cold."""
SERVED_HISTORY = 300
PRICE = 50


def measure(
    symbols: int = SYMBOLS, history: int = HISTORY, sessions: int = SESSIONS, served_history: int = SERVED_HISTORY
) -> Topic:
    """Measure both in scratch folders that are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="quantlake-update-") as folder:
        one_more, note = measure_features(Path(folder) / "features", symbols, history, sessions)
        served, stages = measure_update(Path(folder) / "served", symbols, sessions, served_history)
    left_out = ", ".join(name for name in MODELS if name not in SAMPLE_MODELS)
    text = (
        f"{symbols:,} symbols. Features: one more session over {history:,} sessions beside computing and storing all "
        f"of them. Update: raw rows, bars, technical features, regimes, windows, forecasts of "
        f"{', '.join(SAMPLE_MODELS)} (not of {left_out}), Delta and Redis, beside the same computations and "
        f"writes without checks, stamps and logs. Medians of {sessions - 1}, interleaved."
    )
    rows = tuple(figure.to_row() for figure in (one_more, *served))
    return Topic("One more session", text, RATIO, rows, (note, *stages))


def measure_features(folder: Path, symbols: int, history: int, sessions: int) -> tuple[Figure, str]:
    """P5: the features of one more session, beside a full computation of the same table; both stored."""
    source = GeneratedMarket.ending(symbols, history)
    lake, days = Lake(folder / "updated"), next_closes(DEMO_START, sessions)
    lake.merge(BARS, refine_bars(source.read(None, DEMO_START).rows).bars)
    update_group(lake, FixedClock(DEMO_START), TECHNICAL)
    ours, theirs, after = [], [], DEMO_START
    for number, day in enumerate(days):
        lake.merge(BARS, refine_bars(source.read(after, day).rows).bars)
        after = day
        ours.append(timed(partial(update_group, lake, FixedClock(day), TECHNICAL)))
        theirs.append(timed(partial(_whole, lake, folder / f"whole{number}", day)))
    _require_same(lake, Lake(folder / f"whole{sessions - 1}"), days[-1])
    whole, one = median(theirs[1:]), median(ours[1:])
    figure = Figure("P5 features of one more session", whole, one, 1 / 5, 1 / 10, unit="s")
    return (
        figure,
        f"P5: the first update of the process took {ours[0]:.2f} s; both tables agree to 1e-9, nulls included",
    )


def _whole(lake: Lake, folder: Path, day: datetime) -> None:
    """Compute every row and store it in an empty table."""
    fresh = Lake(folder)
    for rows in LocalEngine().compute(lake, TECHNICAL, day):
        fresh.merge(FEATURES_TECHNICAL, rows)


def _require_same(ours: Lake, theirs: Lake, day: datetime) -> None:
    updated, whole = (lake.read_as_of(FEATURES_TECHNICAL, day) for lake in (ours, theirs))
    # A difference of two means is as exact as the means are, and they are of the size of a price.
    differences = [name for name in updated.columns if name.startswith("macd")]
    assert_frame_equal(updated.drop(differences), whole.drop(differences), rel_tol=1e-9, abs_tol=0)
    assert_frame_equal(updated.select(differences), whole.select(differences), rel_tol=1e-9, abs_tol=1e-9 * PRICE)


def measure_update(folder: Path, symbols: int, sessions: int, history: int) -> tuple[list[Figure], list[str]]:
    """P15: an update until it is served, beside its bare stages on the rows of the same session."""
    settings = scratch_settings(folder)
    runs, bare = [], []
    with running_redis(settings):
        market = generated_platform(settings, symbols, lambda _: None, history=history)
        for number, run in enumerate(update_each_session(market, sessions)):
            runs.append(run)
            bare.append(bare_stages(market, folder / f"bare{number}", next_closes(DEMO_START, sessions)[number]))
    floors = {name: median(one[name] for one in bare[1:]) for name in bare[0]}
    whole, floor = median(map(seconds_until_served, runs[1:])), sum(floors.values())
    together = median(map(seconds_together, runs[1:]))
    figures = [
        Figure("P15 update until it is served / 2 s", 2.0, whole, 1.0, 0.6, unit="s"),
        Figure("P15 the same beside its bare stages", floor, whole, 1.3, 1.3, unit="s"),
    ]
    stages = median_seconds(runs[1:])
    notes = [
        "stages of ours, s, without Dagster between them: "
        + ", ".join(f"{name} {seconds:.2f}" for name, seconds in stages.items()),
        "bare stages, s: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in floors.items()),
        f"first update of the process until it is served: {seconds_until_served(runs[0]):.2f} s",
        f"with the feature groups that no model in service reads, and the labels: {together:.2f} s",
    ]
    return figures, notes


def bare_stages(market: GivenPlatform, folder: Path, day: datetime) -> dict[str, float]:
    """Seconds of each computation and write of a session, with what it reads already in memory."""
    lake, scratch = market.lake, Lake(folder)
    today = pl.col("event_time") == day
    raw, bars = (lake.read(spec, where=today) for spec in (RAW_BARS, BARS))
    first = bars.filter(pl.col("symbol") != "^GSPC").select("symbol", first="event_time")
    index = lake.read(BARS, where=pl.col("symbol") == "^GSPC").select(RECENT_BAR_COLUMNS)
    tail = read_look_back(lake, BARS, first, TECHNICAL.warm_up, now=day, columns=RECENT_BAR_COLUMNS)
    panel = pl.concat([tail, index]).sort("symbol", "event_time")
    features, windows, forecasts = (lake.read(s, where=today) for s in (FEATURES_TECHNICAL, MODEL_WINDOWS, FORECASTS))
    recent = read_look_back(lake, FEATURES_TECHNICAL, first, FORECAST_V2.sessions - 1, now=day)
    engines = market.champions.current().engines
    x = to_model_input(build_windows(recent, FORECAST_V2, at=[day]).values)
    seconds = {
        "raw rows": timed(lambda: scratch.append(RAW_BARS, raw, batch_id="bare")),
        "bars": timed(lambda: (refine_bars(raw), scratch.append(BARS, bars, batch_id="bare"))),
        "features": timed(
            lambda: (compute_group(panel, TECHNICAL), scratch.append(FEATURES_TECHNICAL, features, batch_id="bare"))
        ),
        "windows": timed(lambda: (_cut(recent, day), scratch.append(MODEL_WINDOWS, windows, batch_id="bare"))),
        "forecasts": timed(
            lambda: (
                [engine.predict(x) for engine in engines.values()],
                scratch.append(FORECASTS, forecasts, batch_id="bare"),
            )
        ),
    }
    return seconds | {"Redis": timed(lambda: _set(market, x))}


def _cut(recent: pl.DataFrame, day: datetime) -> list[str]:
    return [window_hash(window) for window in build_windows(recent, FORECAST_V2, at=[day]).values]


def _set(market: GivenPlatform, x: np.ndarray) -> None:
    """Write as many bytes as the windows have, one value per symbol, in one pipeline."""
    with connect(redis_url(market.settings), 10.0) as client:
        pipe = client.pipeline(transaction=True)
        for number, window in enumerate(x):
            pipe.set(f"bare:{number}", window[:, : x.shape[2] // 2].tobytes())
        pipe.execute()
        client.delete(*(f"bare:{number}" for number in range(len(x))))
