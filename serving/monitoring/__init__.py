"""What an operator's tools read: a Grafana dashboard, alert rules, how Prometheus scrapes, and the page about them."""

from serving.monitoring.request_context import FIRST_ERROR, FIRST_FAULT, current_correlation_id, route_of
from serving.monitoring.stopwatch import Lap, Stopwatch
from serving.monitoring.tracing import Tracing

__all__ = [
    "FIRST_ERROR",
    "FIRST_FAULT",
    "Lap",
    "Stopwatch",
    "Tracing",
    "backup_state",
    "board",
    "current_correlation_id",
    "json_logs",
    "metrics",
    "route_of",
]
