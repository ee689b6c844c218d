"""Alerts of Prometheus's rules, as its Alertmanager hands them on (web hook, version 4)."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from serving.alerting.alert import Alert

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = "alertmanager"


def alert_of(
    status: str, labels: "Mapping[str, str]", annotations: "Mapping[str, str]", starts_at: datetime, ends_at: datetime
) -> Alert:
    """Return one alert of a web hook's body.

    Parameters
    ----------
    status
        ``firing`` or ``resolved``.
    ends_at
        When it ended; of one that lasts a year that never was.

    Examples
    --------
    >>> begun = datetime(2024, 1, 2, tzinfo=UTC)
    >>> alert_of("firing", {"alertname": "QuantlakeSlow", "severity": "ticket"}, {"summary": "x"}, begun, begun).name
    'QuantlakeSlow'
    """
    told = {name: value for name, value in labels.items() if name not in {"alertname", "severity"}}
    return Alert(
        name=labels.get("alertname", "unnamed"),
        severity="page" if labels.get("severity") == "page" else "ticket",
        summary=annotations.get("summary", ""),
        action=annotations.get("action", ""),
        source=SOURCE,
        started_at=starts_at.astimezone(UTC),
        labels=told,
        resolved_at=ends_at.astimezone(UTC) if status == "resolved" else None,
    )
