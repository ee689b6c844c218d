"""Metrics of the online store and the age of its features."""

from serving.monitoring.metrics.declaring import counter, gauge

ONLINE_UNVERIFIED = counter(
    "quantlake_online_unverified",
    "Values of the online store that are not what was stored last under their key, each time one was read, by view",
    "view",
)
ONLINE_REPAIRS = counter("quantlake_online_repairs", "Times the online store was filled again from the tables")
REDIS_RESTARTS = gauge(
    "quantlake_redis_restarts",
    "How often the embedded server of this home was started again after it had died; looked at every 15 s",
    mode="mostrecent",
)
FEATURES_AGE_SECONDS = gauge(
    "quantlake_features_age_seconds", "Market time since the session of the newest model input", mode="mostrecent"
)
FEATURES_AGE_SESSIONS = gauge(
    "quantlake_features_age_sessions",
    "Sessions that have closed since that of the newest model input",
    mode="mostrecent",
)


class OnlineNotice:
    """Counts what readers of the online store notice, see `feature_repo.online.repair.StoreObserver`."""

    def unverified(self, view: str, count: int) -> None:
        """Count values that did not verify."""
        ONLINE_UNVERIFIED.labels(view).inc(count)

    def repaired(self) -> None:
        """Count a repair."""
        ONLINE_REPAIRS.inc()
