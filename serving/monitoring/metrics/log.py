"""Metrics of the forecast log."""

from serving.monitoring.metrics.declaring import gauge

LOG_WAITING = gauge("quantlake_log_waiting_rows", "Forecasts on disk that are not in the lake yet", mode="mostrecent")
LOG_OLDEST_SECONDS = gauge(
    "quantlake_log_oldest_waiting_seconds",
    "Age of the oldest forecast that is not in the lake yet; 0 where none waits",
    mode="mostrecent",
)
LOG_BYTES = gauge(
    "quantlake_log_bytes", "Size of the forecast log's files, write-ahead logs included", mode="mostrecent"
)
LOG_QUARANTINED = gauge(
    "quantlake_log_quarantined_rows",
    "Forecasts that did not verify and wait for a decision: `quantlake forecasts quarantine list`",
    mode="mostrecent",
)
LOG_DAMAGED = gauge(
    "quantlake_log_damaged_files",
    "Damaged files of the forecast log that were moved aside and not salvaged yet",
    mode="mostrecent",
)
