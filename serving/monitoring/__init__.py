"""Monitoring: metrics, JSON logs, spans, and boards.

- `request_context`: correlation id and route of the request that a task works for
- `stopwatch`, `tracing`: stages of a micro-batch, and spans of OpenTelemetry
- `metrics`: every number that is counted or measured (needs prometheus_client)
- `json_logs`: one JSON object a line
- `backup_state`: age of the newest backup
- `run_history`, `run_gauges`: last result of each check and the state of the runs, and the gauges made of them
- `grafana_dashboard`, `document`: the Grafana boards, and the page about metrics and alerts
"""

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
    "current_correlation_id",
    "grafana_dashboard",
    "json_logs",
    "metrics",
    "route_of",
    "run_gauges",
    "run_history",
]
