"""A generated market in a scratch home, with models in service: the subject of update timings."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dagster_project.resources import GivenPlatform
from dagster_project.runs.timed import run_timed
from dagster_project.runs.updates import update
from dagster_project.selections import HISTORY

if TYPE_CHECKING:
    from pathlib import Path

    from dagster_project.execution import Stage
    from lake.settings import Settings

HISTORY_SESSIONS = 300
"""Sessions that a generated market has before the first one that is measured."""
SAMPLE_MODELS = ("naive", "ridge", "lightgbm", "lstm")
"""Models that are put in service for a generated market."""


def scratch_settings(home: "Path", **changes: Any) -> "Settings":
    """Settings of a scratch home: nothing of the user's, not even a server, is written to."""
    from lake.settings import settings

    apart = {"home": home, "redis_url": None, "mlflow_tracking_uri": None}
    return settings().model_copy(update=apart | changes)


def generated_platform(
    settings: "Settings",
    symbols: int,
    report_line: Callable[[str], None],
    *,
    history: int = HISTORY_SESSIONS,
    seed: int = 7,
) -> GivenPlatform:
    """Fill an empty home with a generated market and its models: everything up to the sessions to be measured."""
    from lake.clock import DEMO_START, FixedClock
    from lake.sources import GeneratedMarket
    from lake.store import Lake
    from serving.deployment import Champions
    from serving.deployment.sample_models import put_sample_models_in_service

    lake, clock = Lake.open(settings), FixedClock(DEMO_START)
    source = GeneratedMarket.ending(symbols, history, seed)
    platform = GivenPlatform(settings, lake, clock, source, Champions(settings))
    run_timed(HISTORY, platform, lambda stage: report_line(f"{stage.name}: {stage.added:,} rows"))
    put_sample_models_in_service(lake, settings, clock, report_line, SAMPLE_MODELS)
    return platform


def update_each_session(platform: GivenPlatform, sessions: int) -> "Iterator[list[Stage]]":
    """Let the next sessions of a generated market close, one update each."""
    from lake.calendars import next_closes
    from lake.clock import DEMO_START, FixedClock

    for at in next_closes(DEMO_START, sessions):
        yield update(replace(platform, clock=FixedClock(at)), forecast_sessions=1)
