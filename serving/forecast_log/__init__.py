"""Forecast log: every answer on disk before it is sent, its readers, and the drain into the lake.

- `writing`, `log_reading`: one SQLite file for each process that answers, read by all
- `draining`, `verifying`: each logged forecast verified and merged into the lake exactly once
- `quarantine`, `decisions`, `damage`, `salvage`: rows that do not verify, and files that SQLite cannot read
- `pruning`, `backlog`: the log is kept small, and watched
- `stored_forecasts`, `latest`: forecasts looked up in the lake, and the cache of the newest ones (needs Redis)
- `operator_view`: stored forecasts of any kind with latency, engines and receipt
- `user_data`: what is stored about the holder of a key, and its deletion
"""

from serving.forecast_log.backlog import look_at_log
from serving.forecast_log.damage import EXAMINE_SECONDS, examine_files
from serving.forecast_log.draining import drain, row_from_json, rows_from_json, waiting_rows
from serving.forecast_log.log_files import SET_APART, log_path, log_paths, open_log
from serving.forecast_log.log_reading import LogReader, LogTail, Stored
from serving.forecast_log.operator_view import for_operators
from serving.forecast_log.pruning import prune
from serving.forecast_log.quarantine import QuarantinedForecast, quarantine_path, quarantined_forecasts
from serving.forecast_log.stored_forecasts import in_lake, newest_in_lake
from serving.forecast_log.verifying import Logged, require_fitting, verify_logged
from serving.forecast_log.writing import ForecastLog, LogEntry, row_as_json

__all__ = [
    "EXAMINE_SECONDS",
    "SET_APART",
    "ForecastLog",
    "LogEntry",
    "LogReader",
    "LogTail",
    "Logged",
    "QuarantinedForecast",
    "Stored",
    "decisions",
    "drain",
    "examine_files",
    "for_operators",
    "in_lake",
    "latest",
    "log_path",
    "log_paths",
    "look_at_log",
    "newest_in_lake",
    "open_log",
    "prune",
    "quarantine",
    "quarantine_path",
    "quarantined_forecasts",
    "require_fitting",
    "row_as_json",
    "row_from_json",
    "rows_from_json",
    "user_data",
    "verify_logged",
    "waiting_rows",
]
