"""The alert book: every alert that is open or ended of late, in one small file that processes change under a lock."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lake.disk import file_lock, write_private
from lake.errors import ConfigError, DamagedFileError, UnknownNameError
from lake.store import Lake
from serving import audit
from serving.alerting.alert import Alert, AlertRecord, Delivery, cut

if TYPE_CHECKING:
    from lake.settings import Settings

FOLDER, FILE, LOCK = "alerts", "alerts.json", "alerts.lock"
KEPT_ENDED = 200
"""Alerts that ended and are still shown."""
MOST_OPEN = 1_000
"""Alerts that last: further ones are refused, so that a flood of labels does not fill the disk."""
NAME_LETTERS = 64


def book_path(home: Path) -> Path:
    """Return where the book of a home is."""
    return home / FOLDER / FILE


def read_alerts(home: Path) -> list[AlertRecord]:
    """Return every alert of the book: those that last first, then the newest first; none where there is no book.

    Raises
    ------
    DamagedFileError
        If the book cannot be read.
    """
    try:
        rows = json.loads(book_path(home).read_text(encoding="utf-8"))
        found = [_record(row) for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError) as error:
        raise DamagedFileError(
            f"{book_path(home)}, the book of alerts, cannot be read: {error}. Move it away: alerts that last are "
            "written into a new one within a minute."
        ) from error
    return sorted(found, key=lambda each: (each.state == "resolved", -each.alert.started_at.timestamp()))


def raise_alerts(home: Path, alerts: Iterable[Alert]) -> int:
    """Write alerts down; one that lasts already is brought up to date, and one that ended begins anew.

    Returns
    -------
    int
        How many are new.

    Raises
    ------
    ConfigError
        If more than `MOST_OPEN` would last.
    """
    raised = {alert.alert_id: _shortened(alert) for alert in alerts}
    new = 0

    def change(records: dict[str, AlertRecord]) -> None:
        nonlocal new
        for alert_id, alert in raised.items():
            known = records.get(alert_id)
            if known is None or known.state == "resolved":
                new += alert.resolved_at is None
                if alert.resolved_at is None:
                    records[alert_id] = AlertRecord(alert)
            else:
                records[alert_id] = replace(known, alert=replace(alert, started_at=known.alert.started_at))
        if sum(record.state != "resolved" for record in records.values()) > MOST_OPEN:
            raise ConfigError(
                f"More than {MOST_OPEN:,} alerts would last. A label takes values without end; look at the newest with "
                "`quantlake alerts list`."
            )

    if raised:
        change_book(home, change)
    return new


def resolve_absent(home: Path, source: str, present: Sequence[Alert]) -> None:
    """End the alerts of a source that it no longer raises."""
    kept = {alert.alert_id for alert in present}
    if all(r.state == "resolved" or r.alert.source != source or r.alert.alert_id in kept for r in read_alerts(home)):
        return

    def change(records: dict[str, AlertRecord]) -> None:
        for alert_id, record in records.items():
            if record.alert.source == source and alert_id not in kept and record.state != "resolved":
                records[alert_id] = replace(record, alert=replace(record.alert, resolved_at=datetime.now(UTC)))

    change_book(home, change)


def acknowledge(configured: "Settings", alert_id: str, *, by: str, who: str) -> AlertRecord:
    """Take an alert over: it is no longer repeated until it ends and comes again.

    Parameters
    ----------
    by, who
        Name of the person, and who asked for it as the audit trail names actors.

    Raises
    ------
    UnknownNameError
        If no alert of that id lasts, with those that do.
    ConfigError
        If there is no name.
    """
    name = by.strip()
    if not name or len(name) > NAME_LETTERS or not name.isprintable():
        raise ConfigError(
            f"An alert is acknowledged by a person: give a name of 1 to {NAME_LETTERS} printable letters."
        )

    def change(records: dict[str, AlertRecord]) -> None:
        lasting = [each.alert.alert_id for each in records.values() if each.state != "resolved"]
        if alert_id not in lasting:
            raise UnknownNameError("alert", alert_id, lasting)
        records[alert_id] = replace(records[alert_id], acknowledged_by=name, acknowledged_at=datetime.now(UTC))

    done = change_book(configured.home, change)[alert_id]
    details = {"alert": alert_id, "name": done.alert.name, "by": name}
    audit.record(Lake.open(configured), who=who, what="alert.acknowledge", details=details)
    return done


def change_book(home: Path, change: Callable[[dict[str, AlertRecord]], object]) -> dict[str, AlertRecord]:
    """Change the records by their ids under the lock, and write them where they changed; returns them."""
    with file_lock(home / FOLDER / LOCK, "The book of alerts"):
        records = {each.alert.alert_id: each for each in read_alerts(home)}
        before = dict(records)
        change(records)
        if records == before:
            return records
        ended = sorted(
            (r for r in records.values() if r.state == "resolved"), key=lambda r: r.alert.started_at, reverse=True
        )
        gone = {record.alert.alert_id for record in ended[KEPT_ENDED:]}
        records = {name: record for name, record in records.items() if name not in gone}
        write_private(book_path(home), json.dumps([asdict(each) for each in records.values()], default=str, indent=1))
    return records


def _shortened(alert: Alert) -> Alert:
    labels = {cut(str(name), 100): cut(str(value), 200) for name, value in [*alert.labels.items()][:50]}
    return replace(
        alert, name=cut(alert.name, 100), summary=cut(alert.summary), action=cut(alert.action), labels=labels
    )


def _record(row: dict[str, Any]) -> AlertRecord:
    alert = Alert(**(row["alert"] | {name: _instant(row["alert"][name]) for name in ("started_at", "resolved_at")}))
    deliveries = {
        channel: Delivery(**(each | {name: _instant(each[name]) for name in ("sent_at", "next_at")}))
        for channel, each in row["deliveries"].items()
    }
    return AlertRecord(alert, row["acknowledged_by"], _instant(row["acknowledged_at"]), deliveries)


def _instant(text: str | None) -> Any:
    return None if text is None else datetime.fromisoformat(text)
