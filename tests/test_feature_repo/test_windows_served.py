"""The window that is served is the window that models are trained on, bit for bit, through the real stores."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.materialize import update
from feature_repo.materialize.update import update_technical, update_windows
from feature_repo.online.redis_server import connect, embedded_url, running_redis
from feature_repo.retrieval import OnlineBatch, OnlineReader, materialize, training_frame
from feature_repo.targets.windows import FORECAST_V2, Windows, build_windows, window_hash
from lake.clock import DEMO_START, FixedClock
from lake.settings import Settings
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS, MODEL_WINDOWS
from lake.universe import MARKET
from support.online import emptied

NOW = FixedClock(DEMO_START)
SESSIONS = 120
NEEDED = FORECAST_V2.sessions + 20
"""Bars until the first window: the scale looks back on 20 returns."""


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a home whose embedded Redis runs."""
    settings = Settings(home=tmp_path_factory.mktemp("served"), online_timeout_ms=8_000)  # for a busy machine
    with running_redis(settings):
        yield settings


def market(seed: int) -> pl.DataFrame:
    """Bars of symbols that were listed late, halted, closed for good, or that come without volume or range."""
    random = np.random.default_rng(seed)
    names = ["WHOLE", "HALTED", "LISTED", "JUST", "YOUNG", "GONE", "CLOSES", "MIXED", MARKET]
    bars = tiny_market(names, SESSIONS, seed)
    place = pl.int_range(pl.len()).over("symbol")
    listed_at = {
        "LISTED": int(random.integers(1, SESSIONS - NEEDED)),
        "JUST": SESSIONS - NEEDED,
        "YOUNG": SESSIONS - 30,
    }
    since = pl.col("symbol").replace_strict(listed_at, default=0, return_dtype=pl.Int64)
    halts = pl.Series(random.random(bars.height) < 0.2) & (place < SESSIONS - 1)
    bars = bars.filter(
        place >= since, ~((pl.col("symbol") == "HALTED") & halts), (pl.col("symbol") != "GONE") | (place < SESSIONS - 3)
    )
    drop = (pl.col("symbol") == "CLOSES") | (
        (pl.col("symbol") == "MIXED") & pl.Series(random.random(bars.height) < 0.1)
    )
    gone = ("open", "high", "low", "volume", "volume_unadjusted")
    return bars.with_columns(
        *(pl.when(~drop).then(name).alias(name) for name in gone),
        pl.when(drop).then(pl.lit("close_only")).otherwise("quality").alias("quality"),
    )


def windows_by_symbol(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    windows = build_windows(frame, FORECAST_V2, at=[DEMO_START])
    return dict(zip(windows.keys["symbol"], windows.values, strict=True))


def served_and_trained(settings: Settings, root: Path, bars: pl.DataFrame):
    """What Redis serves, and what training sees at the newest session."""
    lake = Lake(root)
    lake.merge(BARS, bars)
    update_technical(lake, NOW)
    update_windows(lake, NOW)
    with connect(embedded_url(settings), 5.0) as server:
        emptied(server)
    materialize(lake, settings, DEMO_START)
    batch = OnlineReader(settings, clock=NOW).read(sorted(bars["symbol"].unique()))
    return batch, windows_by_symbol(training_frame(lake, settings, clock=NOW).frame)


slow = pytest.mark.slow


@pytest.mark.parametrize("seed", [1, *(pytest.param(seed, marks=slow) for seed in range(2, 7))])
def test_served_windows_are_trained_windows(redis: Settings, tmp_path: Path, seed: int) -> None:
    batch, trained = served_and_trained(redis, tmp_path / "tables", market(seed))
    assert set(batch.symbols) == set(trained) == {"WHOLE", "HALTED", "LISTED", "JUST", "CLOSES", "MIXED"}
    assert set(batch.missing) == {"GONE", "YOUNG", MARKET}
    assert disagreeing(batch, trained) == set()
    nulls = {symbol: bool(np.isnan(window).any()) for symbol, window in trained.items()}
    assert nulls["CLOSES"]
    assert nulls["JUST"]


def disagreeing(batch: OnlineBatch, trained: dict[str, np.ndarray]) -> set[str]:
    """Symbols of which a bit differs, or the name of the window."""
    served = zip(batch.symbols, batch.window, batch.feature_hash, strict=True)
    return {
        symbol
        for symbol, window, name in served
        if symbol not in trained
        or window.tobytes() != trained[symbol].tobytes()
        or name != window_hash(trained[symbol])
    }


def test_a_window_filled_where_a_value_is_unknown_is_found_out(
    redis: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutant: what is served has a zero where training has no value."""

    def filled(features: pl.DataFrame, *rest, **named) -> Windows:
        return build_windows(features.with_columns(pl.col(FORECAST_V2.features).fill_null(0.0)), *rest, **named)

    monkeypatch.setattr(update, "build_windows", filled)
    assert "CLOSES" in disagreeing(*served_and_trained(redis, tmp_path / "tables", market(5)))


def test_a_window_restated_and_restated_back_is_stored_three_times(lake: Lake) -> None:
    """What is news is told by the newest known window alone, and not by the versions of the tables behind it."""
    values = {"a": [1.0, 2.0], "b": [1.0, 3.0]}

    def window(which: str, hours: int, version: int) -> pl.DataFrame:
        row = (
            "A",
            DEMO_START,
            DEMO_START + timedelta(hours=hours),
            "s",
            values[which],
            10.0,
            which,
            f'{{"bars": {version}}}',
            "as_traded",
            "USD",
        )
        return pl.DataFrame([row], schema=MODEL_WINDOWS.schema, orient="row")

    said = [("a", 0, 1), ("a", 1, 2), ("b", 2, 3), ("b", 3, 4), ("a", 4, 5)]
    added = [lake.merge(MODEL_WINDOWS, window(*one)).added for one in said]
    assert added == [1, 0, 1, 0, 1]
    newest = lake.read_as_of(MODEL_WINDOWS, DEMO_START + timedelta(hours=9))
    assert newest["feature_hash"].to_list() == ["a"]
