"""A home of its own for tests of receipts: forecasts of every kind, and then a market that moves on."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from deltalake import DeltaTable

from feature_repo.catalog import SPECS
from feature_repo.materialize import update_regimes, update_technical, update_windows
from feature_repo.online.redis_server import running_redis
from feature_repo.retrieval import materialize
from lake import calendars
from lake.care import maintain_tables
from lake.clock import ReplayClock
from lake.ingest import ingest_bars, refine_to_lake
from lake.sources import PackagedMarket
from lake.store import Lake
from lake.tables import BARS, BLEND_WEIGHTS, CALIBRATIONS, REGIMES, STRATEGY_ASSIGNMENTS
from lake.universe import MARKET
from serving.backfill import replay_forecasts
from serving.deployment import load_engines
from serving.forecast_log import drain
from serving.predict import Answers, Predictor, Question
from support.blend import weights_row

if TYPE_CHECKING:
    from lake.settings import Settings

SAID = ("forecast_log*", "forecasts", "receipts")
BESIDE = shutil.ignore_patterns("redis", "mlflow", *SAID, "online.json", "clock.json", "logs")
STRATEGIES = ("naive", "buy_and_hold", "ridge", "lstm")
DELISTED = "AAPL"


@dataclass(frozen=True)
class Home:
    """Settings with the lake and the clock of their home."""

    settings: "Settings"
    lake: Lake
    clock: ReplayClock

    @classmethod
    def at(cls, settings: "Settings") -> "Home":
        """Open a home."""
        return cls(settings, Lake.open(settings), ReplayClock(settings.home / "clock.json"))


class Sizes(NamedTuple):
    """How many forecasts of each kind, and how many sessions replayed, 150 forecasts each."""

    drained: int
    served: int
    scheduled: int
    sessions: int

    @property
    def asked(self) -> int:
        """Forecasts that somebody asked for, or the schedule."""
        return self.drained + self.served + self.scheduled

    @property
    def replayed(self) -> int:
        """Forecasts of the sessions."""
        return 150 * self.sessions


FEW, MANY = Sizes(80, 60, 60, 1), Sizes(400, 300, 300, 4)


def forecast_and_moved_on(settings: "Settings", folder: Path, sizes: Sizes) -> Home:
    """Make forecasts of two generations, a part of them drained, and replay sessions; then the market moves."""
    mine = copied(settings, folder, with_forecasts=False)
    assign(mine, (0.1, 0.2, 0.3, 0.4))
    assert serve(mine, sizes.drained, seed=1) == sizes.drained
    assert drain(mine.lake, mine.settings).added == sizes.drained
    assign(mine, (0.25, 0.25, 0.0, 0.5))
    assert serve(mine, sizes.served, seed=2) == sizes.served
    assert serve(mine, sizes.scheduled, seed=3, kind="scheduled") == sizes.scheduled
    assert backfill(mine, sizes.sessions) == sizes.replayed
    move_on(mine, lambda table: DeltaTable(str(table)).delete(f"symbol = '{DELISTED}'"))
    return mine


def copied(settings: "Settings", folder: Path, *, with_forecasts: bool = True) -> Home:
    """Copy a home for a Redis of its own; without forecasts, what was materialised is left behind as well."""
    shutil.copytree(settings.home, folder, ignore=shutil.ignore_patterns("redis") if with_forecasts else BESIDE)
    moved = {"home": folder, "redis_url": None}
    return Home.at(settings.model_copy(update=moved))


def assign(home: Home, weights: Sequence[float]) -> None:
    """Let an hour pass, then decide on other weights of strategies and models and on a correction of the bands."""
    now = home.clock.now() + timedelta(hours=1)
    home.clock.move_to(now)
    regime = home.lake.read_as_of(REGIMES, now).sort("event_time")["regime"][-1]
    symbols = home.lake.scan(BARS).select("symbol").unique().collect()["symbol"].sort()
    said = (now, now, regime, "lstm", list(STRATEGIES), list(weights), 0.55)
    rows = [(symbol, *said) for symbol in symbols]
    home.lake.merge(STRATEGY_ASSIGNMENTS, pl.DataFrame(rows, schema=STRATEGY_ASSIGNMENTS.schema, orient="row"))
    naive, hold, third, fourth = weights
    by_horizon = {
        1: {"lstm": third, "naive": naive + hold, "ridge": fourth},
        5: {"lstm": naive, "naive": hold, "ridge": third + fourth},
    }
    home.lake.merge(BLEND_WEIGHTS, weights_row(now, by_horizon))
    correction = (MARKET, now, now, [regime] * 2, [1, 5], [1.1, 0.9], [1.2, 0.95], [0.8, 0.7], [90.0, 86.0])
    home.lake.merge(CALIBRATIONS, pl.DataFrame([correction], schema=CALIBRATIONS.schema, orient="row"))


def serve(home: Home, count: int, *, seed: int, kind: str = "served") -> int:
    """Materialise, and answer questions of any size together, as the service would; how many forecasts there are."""
    with running_redis(home.settings):
        materialize(home.lake, home.settings, home.clock.now())
        predictor = Predictor.open(home.settings)
        try:
            return _ask(predictor, count, np.random.default_rng(seed), kind)
        finally:
            predictor.close()


def _ask(predictor: Predictor, count: int, random: np.random.Generator, kind: str) -> int:
    ready = [symbol for symbol, is_ready in predictor.symbols().items() if is_ready]
    made = 0
    while made < count:
        size = min(int(random.integers(1, len(ready) + 1)), count - made)
        mine = random.choice(ready, size, replace=False).tolist()
        horizons = [int(random.choice([1, 5])) for _ in mine]
        answers = predictor.compute([Question([s], h, kind=kind) for s, h in zip(mine, horizons, strict=True)])
        entries = [entry for given in answers if isinstance(given, Answers) for entry in given.to_log]
        predictor.log.write(entries)
        made += len(entries)
    return made


def backfill(home: Home, sessions: int) -> int:
    """Let every model live through the last sessions."""
    return int(replay_forecasts(home.lake, load_engines(home.settings), home.clock, sessions).added)


def move_on(home: Home, delete: Callable[[Path], None]) -> None:
    """Let one more session close, in which 5 % of all bars are restated and all those of one symbol deleted.

    Parameters
    ----------
    delete
        Deletes the rows of `DELISTED` from the table in a folder; the store has no verb for it.
    """
    before = home.clock.now()
    later: datetime = calendars.session_closes(before, before + timedelta(days=10))[0]
    home.clock.move_to(later)
    ingest_bars(home.lake, PackagedMarket(), home.clock)
    refine_to_lake(home.lake, home.clock)
    bars = home.lake.read_as_of(BARS, later).filter(pl.col("event_time") <= before, pl.col("symbol") != DELISTED)
    some = bars.sample(fraction=0.05, seed=5)
    prices = [pl.col(name) * 1.01 for name in ("open", "high", "low", "close", "close_unadjusted", "close_traded")]
    delete(home.lake.path(BARS))
    home.lake.merge(BARS, some.with_columns(*prices, known_time=pl.lit(later)).select(BARS.names))
    for update in (update_technical, update_regimes, update_windows):
        update(home.lake, home.clock)
    assign(home, (0.4, 0.3, 0.2, 0.1))


def clean(home: Home) -> int:
    """Keep house as the weekly asset does, without sparing what is young; how many files went."""
    drain(home.lake, home.settings)
    reports = maintain_tables(home.lake, SPECS, keep=timedelta(0))
    for report in reports:
        home.lake.compact(next(spec for spec in SPECS if spec.name == report.name), at_least=2)
    reports += maintain_tables(home.lake, SPECS, keep=timedelta(0))
    return sum(report.details["files_deleted"] for report in reports)
