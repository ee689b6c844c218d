"""Metrics of the dashboard, by whichever process serves it."""

from serving.monitoring.metrics.declaring import WHOLE, counter, gauge, histogram

PAGE_SECONDS = histogram(
    "quantlake_page_seconds",
    "Time from a request's arrival at the dashboard to the start of its answer, by address of the page as it is "
    "declared and status; other is an address that is not declared",
    "page",
    "status",
    buckets=WHOLE,
)
PAGE_STREAMS = gauge("quantlake_page_streams", "Open pages that are told of new forecasts", mode="livesum")
LOGINS = counter(
    "quantlake_logins",
    "Attempts to log in to the dashboard, by result: accepted, wrong_key, used_link (used, expired or replaced), "
    "too_often",
    "result",
)
PAGE_METRICS = frozenset(family.name for each in (PAGE_SECONDS, PAGE_STREAMS, LOGINS) for family in each.describe())
"""Names of the metrics of the dashboard."""
