"""Metrics of recommendations."""

from serving.monitoring.metrics.declaring import WHOLE, counter, histogram

RECOMMENDATIONS = counter(
    "quantlake_recommendations",
    "Recommendations that were answered, by action and by the rule that decided",
    "action",
    "reason",
)
RECOMMENDATION_SECONDS = histogram(
    "quantlake_recommendation_seconds",
    "Time of a recommendation from its forecast until it is on disk, contributions included",
    buckets=WHOLE,
)
