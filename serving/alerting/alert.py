"""An alert, and what one message about it says."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Severity = Literal["page", "ticket"]
LETTERS = 2_000
"""Longest text of an alert that is kept; what is longer is cut, with a mark."""


@dataclass(frozen=True)
class Alert:
    """Something that somebody has to know of.

    Parameters
    ----------
    name
        Of the rule, e.g. ``QuantlakeRiskHalted``.
    labels
        What tells two alerts of the same rule apart, by name.
    severity
        ``page`` wakes somebody, ``ticket`` waits for the morning.
    summary, action
        What is wrong, and what to do.
    source
        Who raised it: ``alertmanager`` or a part of the platform.
    started_at
        When it began.
    resolved_at
        When it ended; None while it lasts.
    """

    name: str
    severity: Severity
    summary: str
    action: str
    source: str
    started_at: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    resolved_at: datetime | None = None

    @property
    def alert_id(self) -> str:
        """Twelve hexadecimal digits of name and labels: the same alert has the same ones when it comes again."""
        named = json.dumps([self.name, sorted(self.labels.items())])
        return hashlib.sha256(named.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Delivery:
    """What became of one alert on one channel.

    Parameters
    ----------
    sent_at, sent_state
        When the last message arrived, and whether it said ``firing`` or ``resolved``; None before one did.
    tries, error, next_at
        Failures in a row since, the last one's text, and when it is tried again; 0, empty and None without one.
    """

    sent_at: datetime | None = None
    sent_state: str = ""
    tries: int = 0
    error: str = ""
    next_at: datetime | None = None


@dataclass(frozen=True)
class AlertRecord:
    """An alert with who acknowledged it and what was delivered.

    Parameters
    ----------
    acknowledged_by, acknowledged_at
        Person who took it over; None while nobody did, and it repeats.
    deliveries
        By the name of the channel.
    """

    alert: Alert
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)

    @property
    def state(self) -> Literal["firing", "acknowledged", "resolved"]:
        """What it is now."""
        if self.alert.resolved_at is not None:
            return "resolved"
        return "firing" if self.acknowledged_by is None else "acknowledged"

    @property
    def is_undelivered(self) -> bool:
        """Whether the last try of some channel failed."""
        return any(each.tries for each in self.deliveries.values())


def message_of(record: AlertRecord) -> dict[str, Any]:
    """Return what a message says, as plain values: the body of the generic web hook."""
    alert = record.alert
    return {
        "alert_id": alert.alert_id,
        "name": alert.name,
        "state": record.state,
        "severity": alert.severity,
        "summary": alert.summary,
        "action": alert.action,
        "labels": dict(alert.labels),
        "source": alert.source,
        "started_at": alert.started_at.isoformat(),
        "resolved_at": None if alert.resolved_at is None else alert.resolved_at.isoformat(),
        "acknowledge": f"quantlake alerts ack {alert.alert_id} --by NAME",
    }


def subject_of(record: AlertRecord) -> str:
    """Return the first line of a message, without line breaks."""
    alert = record.alert
    return " ".join(f"[quantlake {record.state}] {alert.severity}: {alert.name} - {alert.summary}".split())[:200]


def text_of(record: AlertRecord) -> str:
    """Return a message as text."""
    alert = record.alert
    lines = [subject_of(record), "", alert.summary, alert.action, ""]
    lines += [f"{name}: {value}" for name, value in sorted(alert.labels.items())]
    lines += [f"since {alert.started_at:%Y-%m-%d %H:%M:%S} UTC, raised by {alert.source}"]
    if record.state == "firing":
        lines += ["", f"It repeats until: quantlake alerts ack {alert.alert_id} --by NAME"]
    return "\n".join(lines)


def cut(text: str, most: int = LETTERS) -> str:
    """Return a text of at most so many letters, with a mark where it was longer.

    Examples
    --------
    >>> cut("abcdef", 4)
    'abc…'
    """
    return text if len(text) <= most else f"{text[: most - 1]}…"
