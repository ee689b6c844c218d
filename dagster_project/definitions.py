"""The table of contents of the platform, stages in flow order."""

import dagster as dg

from dagster_project.assets import backups, features, feedback, lake, maintenance, serving, sources, training, trials
from dagster_project.checks import parity, replay
from dagster_project.checks.leaks import leak_checks
from dagster_project.checks.tables import CAUSAL, few_rows_refused, table_checks
from dagster_project.commands.progress import progress_logger
from dagster_project.resources import Platform
from dagster_project.schedules import (
    after_the_close,
    daily_update,
    everything,
    in_the_night,
    new_raw_batches,
    nightly_replay,
    on_sunday,
    sunday_drill,
    weekly_backup_drill,
    weekly_maintenance,
)
from dagster_project.turn_executor import turn_taking_executor
from lake.disk import close_new_files

close_new_files()  # also where Dagster is started without the `quantlake` command

defs = dg.Definitions(
    assets=dg.load_assets_from_modules(
        [
            sources,
            lake,
            features,
            training,
            serving,
            feedback,
            trials,
            parity,
            replay,
            maintenance,
            backups,
        ]
    ),
    asset_checks=[*table_checks(), *leak_checks(CAUSAL), few_rows_refused],
    jobs=[everything, daily_update, nightly_replay, weekly_maintenance, weekly_backup_drill],
    schedules=[after_the_close, in_the_night, on_sunday, sunday_drill],
    sensors=[new_raw_batches],
    resources={"platform": Platform()},
    loggers={"progress": progress_logger},
    executor=turn_taking_executor,
)
