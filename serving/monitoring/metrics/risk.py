"""Metrics of the trading switch, the limits and the alerts."""

from serving.monitoring.metrics.declaring import gauge

RISK_STATE = gauge(
    "quantlake_risk_state",
    "Most restrictive state of the switch: 0 active, 1 reducing, 2 halted; -1 where nobody has released trading yet",
    mode="mostrecent",
)
LIMIT_USED = gauge(
    "quantlake_limit_used_ratio", "Share of the hard value that is used, by limit", "limit", mode="mostrecent"
)
ALERTS = gauge("quantlake_alerts", "Alerts that last, by whether somebody took them over", "state", mode="mostrecent")
ALERTS_UNDELIVERED = gauge(
    "quantlake_alerts_undelivered", "Alerts whose last delivery failed on some channel", mode="mostrecent"
)
