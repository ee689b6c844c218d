"""Schedules and sensors: the daily run after the close, runs for new raw batches, and runs that were requested."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.partitions import SOURCE, changed_years
from dagster_project.resources import Platform
from dagster_project.selections import (
    DAILY_UPDATE,
    NIGHTLY_REPLAY,
    WEEKLY_BACKUP_DRILL,
    WEEKLY_IMPORTANCE,
    WEEKLY_MAINTENANCE,
)
from lake.calendars import last_close
from lake.clock import SystemClock
from lake.ingest import missing_bars
from lake.sources import delay_of

if TYPE_CHECKING:
    from lake.store import Lake

DELAY = timedelta(minutes=30)
"""How long after a close its bars are asked for, where the source does not say."""
EVERY, ATTEMPTS = timedelta(minutes=15), 8
"""How often bars that are not there are asked for again, and how many times a close is asked for at most."""
NO_BACKUPS = "QUANTLAKE_BACKUPS is not set, so it is not known where backups go."
NOT_YET = "No model is in service yet; run the job 'everything' first."

in_the_night = dg.ScheduleDefinition(
    name="in_the_night",
    job=NIGHTLY_REPLAY.job,
    cron_schedule="0 2 * * *",
    description="Every night, a sample of the newest forecasts is made again and compared with what is stored. "
    "A replayed market is checked as a live one is.",
)
on_sunday = dg.ScheduleDefinition(
    name="on_sunday",
    job=WEEKLY_MAINTENANCE.job,
    cron_schedule="0 12 * * 0",
    description="On Sundays, small files are joined and old log entries and unused files deleted; every version in "
    "use stays readable. A replayed market is maintained as a live one is.",
)


@dg.schedule(
    job=WEEKLY_IMPORTANCE.job,
    cron_schedule="0 18 * * 0",
    description="On Sundays, the importance of every feature is measured on the newest matured sessions. Skipped "
    "before a model is in service. A replayed market is measured once after each move of its clock.",
)
def sunday_importance(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """On Sundays, once a model is in service."""
    return dg.RunRequest() if _has_run_whole(platform) else dg.SkipReason(NOT_YET)


@dg.schedule(
    job=WEEKLY_BACKUP_DRILL.job,
    cron_schedule="0 15 * * 0",
    description="On Sundays after the maintenance, a backup into QUANTLAKE_BACKUPS is made, restored into a scratch "
    "folder and looked at as a whole. Skipped where QUANTLAKE_BACKUPS is not set. The same in a replayed market.",
)
def sunday_drill(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """On Sundays, after the maintenance, where a folder of backups is set."""
    return dg.RunRequest() if platform.settings.backups is not None else dg.SkipReason(NO_BACKUPS)


@dg.schedule(
    job=DAILY_UPDATE.job,
    cron_schedule="*/15 * * * *",
    execution_timezone="UTC",
    description="Every quarter of an hour: a market that follows the wall clock is updated once per close, from its "
    "source's declared delay after the close on, and again while bars are missing. A replayed market stands still "
    "until a command moves its clock, and is then updated once.",
)
def after_the_close(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """After each close of the market's calendar, half days and holidays as it has them.

    A market that follows the wall clock is looked at every quarter of an hour. It is updated from its source's declared
    delay after the close on, again while bars of the close are missing, `ATTEMPTS` times at most, and once more when
    the close is decided. A replayed market is updated when its clock was moved. The run key names close and attempt,
    so that none is run twice.
    """
    if not _has_run_whole(platform):
        return dg.SkipReason(NOT_YET)
    market, now = platform.lake.market, platform.clock.now()
    is_live = isinstance(platform.clock, SystemClock)
    delay = (delay_of(platform.settings.source_name, market) or DELAY) if is_live else timedelta(0)
    close = last_close(now - delay, market.grid)
    if close is None:
        return dg.SkipReason(f"No bar of {market.grid} has closed before {now:%Y-%m-%d}.")
    key = f"close-{close:%Y%m%dT%H%M}"
    if is_live:
        attempt = min(int((now - close - delay) / EVERY), ATTEMPTS - 1)
        missing = missing_bars(platform.lake, close)
        if missing is not None and not missing:
            if not _is_decision_due(platform.lake, close, now):
                return dg.SkipReason(f"The bars of {close:%Y-%m-%d %H:%M} UTC are stored.")
            key = f"{key}-decided"
        elif attempt:
            key = f"{key}-{attempt + 1}"
    return dg.RunRequest(run_key=key, tags=changed_years(now, first=market.first_year))


def _is_decision_due(lake: "Lake", close: datetime, now: datetime) -> bool:
    """Whether a close is to be decided by now, after its bars came, and no model has forecast it."""
    from serving.backfill import has_replays

    delay = lake.market.decided_after
    return timedelta(0) < delay <= now - close and not has_replays(lake, close)


@dg.sensor(
    job=DAILY_UPDATE.job,
    minimum_interval_seconds=60,
    description="Runs the daily update for rows that reached raw_bars by any route: command, service, notebook. "
    "In a replayed market, that is after its clock was moved.",
)
def new_raw_batches(context: dg.SensorEvaluationContext, platform: Platform) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """React to rows that reached `raw_bars` by any route, once the whole graph has run."""
    from lake.tables import RAW_BARS

    if not _has_run_whole(platform):
        yield dg.SkipReason(NOT_YET)
        return
    version = str(platform.lake.version(RAW_BARS))
    if version == context.cursor:
        yield dg.SkipReason(f"raw_bars still stands at version {version}.")
        return
    context.update_cursor(version)
    tags = changed_years(platform.clock.now(), first=platform.lake.market.first_year)
    yield dg.RunRequest(run_key=f"raw_bars-{version}", tags=tags)


@dg.sensor(
    job=DAILY_UPDATE.job,
    minimum_interval_seconds=15,
    description="Turns each request that the service took (POST /api/v1/internal/ingest/SOURCE) into a run that asks "
    "that source. In a replayed market, the source is asked up to the market's now, and has nothing new to say.",
)
def ingest_requests(context: dg.SensorEvaluationContext, platform: Platform) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Turn each request that the service left (`POST /api/v1/internal/ingest/SOURCE`) into a run of its source.

    A request is forgotten one look after its run was asked for, when Dagster has kept that: a crash in between asks
    again under the same run key, and Dagster starts no second run.
    """
    from lake.ingest import forget_requests, start_requests

    if not _has_run_whole(platform):
        yield dg.SkipReason(NOT_YET)
        return
    kept = (context.cursor or "").split()
    forget_requests(platform.settings, kept)
    started = start_requests(platform.settings)
    context.update_cursor(" ".join(each.id for each in started))
    if not started:
        yield dg.SkipReason("Nobody has requested that a source be asked.")
    tags = changed_years(platform.clock.now(), first=platform.lake.market.first_year)
    for each in started:
        yield dg.RunRequest(run_key=f"ingest-{each.id}", tags=tags | {SOURCE: each.source})


def _has_run_whole(platform: Platform) -> bool:
    """Whether a model is in service, so all years are stored.

    A daily run knows two years. On an empty lake it would write their features as if no session came before, and these
    contradict what the whole history says later.
    """
    from serving.deployment import serving_file

    return serving_file(platform.settings).exists()
