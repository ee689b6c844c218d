"""Forecasts on disk: the log that each answer is in before it is sent, its readers, and its way to the lake."""

from serving.forecast_log.damage import LOOK_SECONDS, examine
from serving.forecast_log.draining import INSTANTS, as_rows, drain, unread
from serving.forecast_log.log_figures import look_at_log
from serving.forecast_log.log_files import SET_APART, log_path, log_paths, open_log
from serving.forecast_log.log_reading import LogReader, Stored, Tail
from serving.forecast_log.pruning import prune
from serving.forecast_log.quarantine import QuarantinedForecast, listing, quarantine_path
from serving.forecast_log.stored_forecasts import in_lake, newest_in_lake
from serving.forecast_log.verifying import Logged, require_fitting, verify
from serving.forecast_log.writing import Entry, ForecastLog, row_as_json

__all__ = [
    "INSTANTS",
    "LOOK_SECONDS",
    "SET_APART",
    "Entry",
    "ForecastLog",
    "LogReader",
    "Logged",
    "QuarantinedForecast",
    "Stored",
    "Tail",
    "as_rows",
    "drain",
    "examine",
    "in_lake",
    "latest",
    "listing",
    "log_path",
    "log_paths",
    "look_at_log",
    "newest_in_lake",
    "open_log",
    "prune",
    "quarantine_path",
    "require_fitting",
    "row_as_json",
    "unread",
    "verify",
]
