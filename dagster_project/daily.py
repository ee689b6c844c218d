"""One more session, from new bars to what is served, stage by stage: the functions behind the daily job, timed."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from lake.clock import Clock
    from lake.report import Report
    from lake.settings import Settings
    from lake.sources.base import BarSource
    from lake.store import Lake
    from serving.deployment import Champions

HISTORY_SESSIONS = 300
"""Sessions that a generated market has lived through before the first one that is measured."""
SERVED = "online_store"
"""Stage after which the session is served; what follows is for research and training."""
SAMPLE_MODELS = ("naive", "ridge", "lightgbm", "lstm")
"""Models that are put in service for a generated market."""


@dataclass(frozen=True)
class Stage:
    """One step of an update: what it made, and how long it took on the wall."""

    name: str
    report: "Report"
    seconds: float


@dataclass(frozen=True)
class Market:
    """Everything an update needs, as values."""

    lake: "Lake"
    settings: "Settings"
    source: "BarSource"
    champions: "Champions"


def update(market: Market, clock: "Clock", *, forecast_sessions: int = 250) -> Iterator[Stage]:
    """Bring new bars to validated rows, features, model inputs, forecasts, Redis and Delta.

    Each stage does only what is new, and a stage that is repeated does nothing, so an update that was cut off is
    finished by the next one.

    Parameters
    ----------
    market
        The lake, its source and the models in service. What stays loaded between two updates is the models alone, and
        they are exchanged when a promotion says so.
    forecast_sessions
        How many sessions a model that never forecast is to live through; see `serving.backfill.walk_forward`.

    Yields
    ------
    Stage
        As each is done: first what is served, then the tables that only research and training read.
    """
    for name, step in _steps(market, clock, forecast_sessions):
        started = time.perf_counter()
        report = step()
        yield Stage(name, report, time.perf_counter() - started)


def _steps(market: Market, clock: "Clock", sessions: int) -> "Iterator[tuple[str, Callable[[], Report]]]":
    from feature_repo.catalog import GROUPS, TECHNICAL
    from feature_repo.materialize.update import update_group, update_labels, update_regimes, update_windows
    from feature_repo.retrieval import materialize
    from lake.ingest import ingest_bars, refine_to_lake
    from serving.backfill import score_newest

    lake = market.lake
    yield "raw_bars", lambda: ingest_bars(lake, market.source, clock)
    yield "bars", lambda: refine_to_lake(lake, clock)[0]
    yield TECHNICAL.table.name, lambda: update_group(lake, clock, TECHNICAL)
    yield "regimes", lambda: update_regimes(lake, clock)
    yield "model_windows", lambda: update_windows(lake, clock)
    yield "forecasts", lambda: score_newest(lake, market.champions.current().engines, clock, sessions=sessions)
    yield SERVED, lambda: materialize(lake, market.settings, clock.now())
    for group in [group for group in GROUPS if group is not TECHNICAL]:
        yield group.table.name, lambda group=group: update_group(lake, clock, group)  # type: ignore[misc]
    yield "labels", lambda: update_labels(lake, clock)


def users_market(settings: "Settings") -> Market:
    """The lake of these settings, with the packaged market as its source."""
    from lake.sources.packaged import PackagedMarket
    from lake.store import Lake
    from serving.deployment import Champions

    return Market(Lake.open(settings), settings, PackagedMarket(), Champions(settings))


def scratch_settings(home: "Path", **changes: Any) -> "Settings":
    """Settings of a scratch home: nothing of the user's, not even a server, is written to."""
    from lake.settings import settings

    apart = {"home": home, "redis_url": None, "mlflow_tracking_uri": None}
    return settings().model_copy(update=apart | changes)


def generated_market(
    settings: "Settings", symbols: int, say: Callable[[str], None], *, history: int = HISTORY_SESSIONS, seed: int = 7
) -> Market:
    """Fill an empty home with a generated market and its models: everything up to the sessions to be measured."""
    from feature_repo.catalog import GROUPS
    from feature_repo.materialize.update import update_group, update_labels
    from lake.clock import DEMO_START, FixedClock
    from lake.ingest import ingest_bars, refine_to_lake
    from lake.sources.generated import GeneratedMarket
    from lake.store import Lake
    from serving.deployment import Champions
    from serving.deployment.sample_models import put_sample_models_in_service

    lake, clock = Lake.open(settings), FixedClock(DEMO_START)
    source = GeneratedMarket.ending(symbols, history, seed)
    raw = ingest_bars(lake, source, clock)
    bars, _, refused = refine_to_lake(lake, clock)
    say(f"{raw.rows:,} raw rows received, {bars.rows:,} bars, {refused.rows:,} refused")
    rows = [update_group(lake, clock, group).rows for group in GROUPS]
    update_labels(lake, clock)
    say(f"{sum(rows):,} rows of features in {len(rows)} tables")
    put_sample_models_in_service(lake, settings, clock, say, SAMPLE_MODELS)
    return Market(lake, settings, source, Champions(settings))


def live_through(market: Market, sessions: int) -> "Iterator[list[Stage]]":
    """Let the next sessions of a generated market close, one update each."""
    from lake.calendars import next_closes
    from lake.clock import DEMO_START, FixedClock

    for at in next_closes(DEMO_START, sessions):
        yield list(update(market, FixedClock(at), forecast_sessions=1))


def seconds_until_served(run: Sequence[Stage]) -> float:
    """Seconds from the first stage to the end of the one that puts the session into the online store."""
    upto = [stage.name for stage in run].index(SERVED) + 1
    return sum(stage.seconds for stage in run[:upto])


def seconds_together(run: Sequence[Stage]) -> float:
    """Seconds of all stages."""
    return sum(stage.seconds for stage in run)


def median_seconds(runs: Sequence[Sequence[Stage]]) -> Mapping[str, float]:
    """Median seconds of each stage over some updates."""
    from statistics import median

    return {stage.name: median(run[place].seconds for run in runs) for place, stage in enumerate(runs[0])}
