"""When things run: the daily schedule after the close, and the sensor on new raw batches."""

from collections.abc import Iterator

import dagster as dg

from dagster_project.assets.training import GROUP as TRAINING
from dagster_project.partitions import recent_years
from dagster_project.resources import Platform

NO_BACKUPS = "QUANTLAKE_BACKUPS is not set, so it is not known where backups go."
NOT_YET = "No model is in service yet; run the job 'everything' first."

MAINTENANCE = dg.AssetSelection.assets("table_maintenance", "backup_drill")
DRILL = dg.AssetSelection.assets("backup_drill")
everything = dg.define_asset_job(
    "everything",
    selection=dg.AssetSelection.all() - MAINTENANCE,
    description="From the sources to the strategy in force.",
)
daily_update = dg.define_asset_job(
    "daily_update",
    selection=dg.AssetSelection.all()
    - MAINTENANCE
    - dg.AssetSelection.groups(TRAINING)
    - dg.AssetSelection.assets("served_models"),
    description="One more session: bars, features, forecasts, outcomes, selection. Trains nothing.",
)
weekly_maintenance = dg.define_asset_job(
    "weekly_maintenance", selection=MAINTENANCE - DRILL, description="Compaction, clean-up of logs, vacuum."
)
weekly_backup_drill = dg.define_asset_job(
    "weekly_backup_drill",
    selection=DRILL,
    description="A backup into QUANTLAKE_BACKUPS, restored into a scratch folder and looked at as a whole.",
)
nightly_replay = dg.define_asset_job(
    "nightly_replay",
    selection=dg.AssetSelection.assets("replayed_forecasts"),
    description="A sample of the newest forecasts, made again and compared.",
)
in_the_night = dg.ScheduleDefinition(name="in_the_night", job=nightly_replay, cron_schedule="0 2 * * *")
on_sunday = dg.ScheduleDefinition(name="on_sunday", job=weekly_maintenance, cron_schedule="0 12 * * 0")


@dg.schedule(job=weekly_backup_drill, cron_schedule="0 15 * * 0")
def sunday_drill(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """On Sundays, after the house-keeping, where a folder of backups is set."""
    return dg.RunRequest() if platform.settings.backups is not None else dg.SkipReason(NO_BACKUPS)


@dg.schedule(job=daily_update, cron_schedule="30 16 * * 1-5", execution_timezone="America/New_York")
def after_the_close(platform: Platform) -> dg.RunRequest | dg.SkipReason:
    """Half an hour after the New York close, on weekdays, once the whole graph has run."""
    if not _has_run_whole(platform):
        return dg.SkipReason(NOT_YET)
    now = platform.clock.now()
    return dg.RunRequest(run_key=f"close-{now:%Y%m%dT%H%M}", tags=recent_years(now))


@dg.sensor(job=daily_update, minimum_interval_seconds=60)
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
    yield dg.RunRequest(run_key=f"raw_bars-{version}", tags=recent_years(platform.clock.now()))


def _has_run_whole(platform: Platform) -> bool:
    """Whether a model is in service, so all years are stored.

    A daily run knows two years. On an empty lake it would write their features as if no session came before, and these
    contradict what the whole history says later.
    """
    from serving.deployment import SERVING_FILE

    return (platform.settings.models / SERVING_FILE).exists()
