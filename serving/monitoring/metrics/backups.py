"""Metrics of backups."""

from serving.monitoring.metrics.declaring import gauge

BACKUPS_CONFIGURED = gauge(
    "quantlake_backups_configured", "1 where QUANTLAKE_BACKUPS names a folder, 0 where not", mode="mostrecent"
)
BACKED_UP = gauge(
    "quantlake_backup_timestamp_seconds",
    "When the newest whole backup was begun, seconds since 1970; 0 for never",
    mode="mostrecent",
)
DRILLED = gauge(
    "quantlake_backup_drill_timestamp_seconds",
    "When a backup was last restored and found whole, seconds since 1970; 0 for never",
    mode="mostrecent",
)
