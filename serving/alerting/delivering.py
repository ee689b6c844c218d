"""Delivery of alerts: each one on each channel until somebody acknowledges it, and what fails is tried again.

The alert book is the queue, so nothing waits for a mail server: whoever raises an alert writes one small file. A round
sends what is due. A failure is written beside the alert and tried again after 5, 10, 20 ... seconds, 5 minutes at most:
this is the one place that tries again, and channels send once.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from serving.alerting.alert import Alert, AlertRecord, Delivery
from serving.alerting.book import FOLDER, change_book, read_alerts
from serving.alerting.channels import AlertChannel, Undelivered

logger = logging.getLogger("quantlake.alerts")

ROUND_LOCK = "delivery.lock"
FIRST_WAIT_SECONDS, MOST_WAIT_SECONDS = 5.0, 300.0


class Round(NamedTuple):
    """What one round of delivery did: messages that arrived, and that did not."""

    sent: int
    failed: int


def deliver(
    home: Path, channels: Sequence[AlertChannel], *, repeat_minutes: float, now: datetime | None = None
) -> Round:
    """Send every message that is due; of two processes that do so at once one does, and the other sends nothing.

    Parameters
    ----------
    repeat_minutes
        After which an alert that nobody acknowledged is sent again.
    now
        Wall-clock instant; that of the call by default.

    Returns
    -------
    Round
        No error is raised for a channel that fails: it is in the book and in the log.
    """
    at = datetime.now(UTC) if now is None else now
    (home / FOLDER).mkdir(parents=True, exist_ok=True, mode=0o700)
    sent = failed = 0
    try:
        with FileLock(home / FOLDER / ROUND_LOCK, timeout=0):
            for record in read_alerts(home):
                for channel in channels:
                    known = record.deliveries.get(channel.name, Delivery())
                    if not is_due(record, known, at, repeat_minutes):
                        continue
                    made = _send(channel, record, known, at)
                    _note(home, record, channel.name, made)
                    sent, failed = sent + (made.tries == 0), failed + (made.tries > 0)
    except Timeout:
        return Round(0, 0)
    return Round(sent, failed)


def is_due(record: AlertRecord, known: Delivery, at: datetime, repeat_minutes: float) -> bool:
    """Whether a message about an alert is to be sent on a channel now."""
    if known.next_at is not None and at < known.next_at:
        return False
    if record.state == "resolved":
        return known.sent_state == "firing"
    if record.state == "acknowledged":
        return False
    return known.sent_at is None or at - known.sent_at >= timedelta(minutes=repeat_minutes)


def check_channels(channels: Sequence[AlertChannel]) -> dict[str, str]:
    """Send a test message on each channel; returns what went wrong by channel, empty where it arrived."""
    alert = Alert("QuantlakeTest", "ticket", "This is a test of the channel.", "Do nothing.", "test", datetime.now(UTC))
    found = {}
    for channel in channels:
        try:
            channel.send(AlertRecord(alert))
            found[channel.name] = ""
        except Undelivered as error:
            found[channel.name] = str(error)
    return found


def _send(channel: AlertChannel, record: AlertRecord, known: Delivery, at: datetime) -> Delivery:
    try:
        channel.send(record)
    except Undelivered as error:
        wait = min(FIRST_WAIT_SECONDS * 2.0 ** min(known.tries, 20), MOST_WAIT_SECONDS)
        logger.warning(
            "an alert was not delivered; it is tried again",
            extra={"alert": record.alert.alert_id, "channel": channel.name, "reason": str(error)},
        )
        return replace(known, tries=known.tries + 1, error=str(error), next_at=at + timedelta(seconds=wait))
    return Delivery(sent_at=at, sent_state="resolved" if record.state == "resolved" else "firing")


def _note(home: Path, record: AlertRecord, channel: str, made: Delivery) -> None:
    """Write down what became of a message, where the alert is still the same one."""

    def change(records: dict[str, AlertRecord]) -> None:
        now = records.get(record.alert.alert_id)
        if now is not None and now.alert.started_at == record.alert.started_at:
            records[record.alert.alert_id] = replace(now, deliveries={**now.deliveries, channel: made})

    change_book(home, change)
