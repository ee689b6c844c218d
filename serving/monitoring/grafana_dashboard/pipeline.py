"""Board of the pipeline: age of the features, runs and their checks, the way into the lake, backups."""

from serving.monitoring.grafana_dashboard.panels import Board, DashboardPanel, rate

FEATURES = (
    DashboardPanel(
        "Age of the features",
        "Sessions that have closed since that of the newest model input.",
        "none",
        {"sessions": "max(quantlake_features_age_sessions)"},
        "stat",
    ),
    DashboardPanel(
        "Online store mended",
        "Values that did not verify a second, by view; times it was filled again; restarts of the embedded server.",
        "none",
        {
            "unverified {{view}}": rate("quantlake_online_unverified_total", "view"),
            "repairs": "sum(increase(quantlake_online_repairs_total[5m]))",
            "restarts": "max(quantlake_redis_restarts)",
        },
    ),
)
RUNS = (
    DashboardPanel(
        "Failing checks",
        "Checks whose last result is a failure, by asset and severity; /operations says what to do about each.",
        "none",
        {"{{asset}} {{severity}}": "max by (asset, severity) (quantlake_asset_checks_failed) > 0"},
    ),
    DashboardPanel(
        "Age of the assets",
        "Since each asset was last made; weekly ones and models may be old.",
        "s",
        {"{{asset}}": "sort_desc(max by (asset) (quantlake_asset_age_seconds))"},
        "table",
    ),
    DashboardPanel(
        "Age of the jobs",
        "Since the newest run of each job that succeeded ended.",
        "s",
        {"{{kind}}": "max by (kind) (quantlake_job_age_seconds)"},
    ),
    DashboardPanel(
        "Oldest run not ended",
        "Since it was made; 0 where nothing waits or is under way.",
        "s",
        {"run": "max(quantlake_oldest_run_waiting_seconds)"},
        "stat",
    ),
)
LOG = (
    DashboardPanel(
        "Waiting for the lake",
        "Forecasts on disk that are not in the tables yet.",
        "none",
        {"rows": "max(quantlake_log_waiting_rows)", "in quarantine": "max(quantlake_log_quarantined_rows)"},
    ),
    DashboardPanel(
        "Oldest forecast not in the lake",
        "Age of the oldest forecast that waits for the drain.",
        "s",
        {"age": "max(quantlake_log_oldest_waiting_seconds)"},
    ),
    DashboardPanel(
        "Size of the forecast log",
        "Its files with their write-ahead logs; pruned rows are reused or given back.",
        "bytes",
        {"bytes": "max(quantlake_log_bytes)"},
    ),
)
BACKUPS = (
    DashboardPanel(
        "Age of the newest backup",
        "Since the newest whole backup was begun; nothing where there is none.",
        "s",
        {"backup": "time() - (max(quantlake_backup_timestamp_seconds) > 0)"},
        "stat",
    ),
    DashboardPanel(
        "Age of the last drill",
        "Since a backup was last restored and found whole; nothing where none ever was.",
        "s",
        {"drill": "time() - (max(quantlake_backup_drill_timestamp_seconds) > 0)"},
        "stat",
    ),
)
PIPELINE = Board(
    "pipeline",
    "How old what is served is, which runs and checks failed, what waits for the lake, and whether it is backed up.",
    {"Features": FEATURES, "Runs and checks": RUNS, "Into the lake": LOG, "Backups": BACKUPS},
)
