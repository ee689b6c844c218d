"""Metrics of requests, callers and subscribers."""

from serving.monitoring.metrics.declaring import WHOLE, counter, gauge, histogram

REQUEST_SECONDS = histogram(
    "quantlake_request_seconds",
    "Time from a request's arrival to its answer, by route and status",
    "route",
    "status",
    buckets=WHOLE,
)
PROBLEMS = counter(
    "quantlake_problems",
    "Requests that were refused or failed, by kind of problem (see /problems)",
    "problem",
    "status",
)
LIMITED = counter(
    "quantlake_limited_requests",
    "Requests of keys with a limit, by where they were counted: shared (home and Redis), local (home alone, Redis is "
    "away), refused (operators while Redis is away, and all while the home's ledger cannot be written)",
    "counted",
)
WORKERS = gauge("quantlake_workers", "Workers that are up", mode="livesum")
READY = gauge("quantlake_ready", "1 while a forecast can be made, 0 while not; looked at every 15 s", mode="mostrecent")
STREAMS = gauge("quantlake_stream_connections", "Open WebSockets", mode="livesum")
STREAM_UPDATES = counter("quantlake_stream_updates", "Updates put into the queue of a WebSocket")
STREAM_DROPPED = counter("quantlake_stream_dropped", "WebSockets closed because they were too slow")
STREAM_DELAY_SECONDS = gauge(
    "quantlake_stream_delay_seconds",
    "From a forecast's making to its sending to subscribers, the last one",
    mode="livemax",
)
