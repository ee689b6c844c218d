"""Metrics of runs, assets and their checks, as Dagster's run storage keeps them."""

from serving.monitoring.metrics.declaring import gauge

ASSET_AGE_SECONDS = gauge(
    "quantlake_asset_age_seconds",
    "Wall-clock time since an asset was last made; looked at every 15 s, as are the next three",
    "asset",
    mode="mostrecent",
)
ASSET_CHECKS_FAILED = gauge(
    "quantlake_asset_checks_failed",
    "Checks of an asset whose last result is a failure, by severity: error stops what follows from the asset, warning "
    "does not",
    "asset",
    "severity",
    mode="mostrecent",
)
JOB_AGE_SECONDS = gauge(
    "quantlake_job_age_seconds",
    "Wall-clock time since the newest run of a job succeeded; kind is the job, none before its first success",
    "kind",
    mode="mostrecent",
)
RUN_WAITING_SECONDS = gauge(
    "quantlake_oldest_run_waiting_seconds",
    "Wall-clock time since the oldest run was made that waits or is under way; 0 where none is",
    mode="mostrecent",
)
