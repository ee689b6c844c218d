"""Schedule and sensor: the daily run after the close, and a run for new raw batches."""

from collections.abc import Iterator
from datetime import timedelta

import dagster as dg

from dagster_project.partitions import changed_years
from dagster_project.resources import Platform
from dagster_project.selections import DAILY_UPDATE, NIGHTLY_REPLAY, WEEKLY_BACKUP_DRILL, WEEKLY_MAINTENANCE
from lake.calendars import last_close
from lake.clock import SystemClock

DELAY = timedelta(minutes=30)
"""How long after a close its bars are asked for."""
NO_BACKUPS = "QUANTLAKE_BACKUPS is not set, so it is not known where backups go."
NOT_YET = "No model is in service yet; run the job 'everything' first."

in_the_night = dg.ScheduleDefinition(name="in_the_night", job=NIGHTLY_REPLAY.job, cron_schedule="0 2 * * *")
on_sunday = dg.ScheduleDefinition(name="on_sunday", job=WEEKLY_MAINTENANCE.job, cron_schedule="0 12 * * 0")


@dg.schedule(job=WEEKLY_BACKUP_DRILL.job, cron_schedule="0 15 * * 0")
def sunday_drill(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """On Sundays, after the maintenance, where a folder of backups is set."""
    return dg.RunRequest() if platform.settings.backups is not None else dg.SkipReason(NO_BACKUPS)


@dg.schedule(job=DAILY_UPDATE.job, cron_schedule="*/15 * * * *", execution_timezone="UTC")
def after_the_close(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Once after each close of the market's calendar, half days and holidays as it has them.

    A market that follows the wall clock is looked at every quarter of an hour, and updated half an hour after a close;
    a replayed one when its clock was moved. The run key names the close, so that no session is run twice.
    """
    if not _has_run_whole(platform):
        return dg.SkipReason(NOT_YET)
    market, now = platform.lake.market, platform.clock.now()
    is_live = isinstance(platform.clock, SystemClock)
    close = last_close(now - DELAY if is_live else now, market.grid)
    if close is None:
        return dg.SkipReason(f"No bar of {market.grid} has closed before {now:%Y-%m-%d}.")
    return dg.RunRequest(run_key=f"close-{close:%Y%m%dT%H%M}", tags=changed_years(now, first=market.first_year))


@dg.sensor(job=DAILY_UPDATE.job, minimum_interval_seconds=60)
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


def _has_run_whole(platform: Platform) -> bool:
    """Whether a model is in service, so all years are stored.

    A daily run knows two years. On an empty lake it would write their features as if no session came before, and these
    contradict what the whole history says later.
    """
    from serving.deployment import SERVING_FILE

    return (platform.settings.models / SERVING_FILE).exists()
