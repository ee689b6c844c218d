"""Dagster definitions of the platform, stages in flow order."""

import dagster as dg

from dagster_project.assets import (
    backups,
    desk,
    features,
    feedback,
    lake,
    maintenance,
    quality,
    serving,
    sources,
    training,
    trials,
)
from dagster_project.catalog import described
from dagster_project.checks import freshness, leaks, parity, replay, tables
from dagster_project.execution import progress_logger, stage_logger, turn_taking_executor
from dagster_project.resources import Platform
from dagster_project.schedules import (
    after_the_close,
    in_the_night,
    ingest_requests,
    new_raw_batches,
    on_sunday,
    sunday_drill,
    sunday_importance,
)
from dagster_project.selections import SELECTIONS
from lake.disk import close_new_files

close_new_files()  # also where Dagster is started without the `quantlake` command

MODULES = [
    sources,
    lake,
    quality,
    features,
    training,
    serving,
    feedback,
    desk,
    trials,
    parity,
    replay,
    maintenance,
    backups,
]
"""Where assets are defined, in flow order."""

defs = dg.Definitions(
    assets=described(dg.load_assets_from_modules(MODULES)),
    asset_checks=[
        *tables.table_checks(),
        *leaks.leak_checks(tables.CAUSAL),
        *freshness.freshness_checks(),
        tables.few_rows_refused,
        tables.sources_agree,
    ],
    jobs=[selection.job for selection in SELECTIONS],
    schedules=[after_the_close, in_the_night, on_sunday, sunday_drill, sunday_importance],
    sensors=[new_raw_batches, ingest_requests],
    resources={"platform": Platform()},
    loggers={"progress": progress_logger, "stages": stage_logger},
    executor=turn_taking_executor,
)
