"""Alerts of the switch: each scope that is stopped is one, until it is resumed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from serving.alerting import Alert, AlertChannel, Round, deliver, raise_alerts, resolve_absent
from serving.risk.latch import read_latch
from serving.risk.states import EVERYTHING, SwitchReading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lake.settings import Settings

SOURCE, NAME = "switch", "QuantlakeTradingStopped"
ACTION = 'Find out why and close what has to be closed, then: quantlake desk resume --by NAME "reason".'


def switch_alerts(found: SwitchReading) -> list[Alert]:
    """Return the alerts of what one look at the latch found; none of a home that has never had one."""
    alerts = [
        Alert(
            NAME,
            "page",
            f"{each.scope} is {each.state} since {each.since:%H:%M:%S} UTC by {each.by}: {each.reason}",
            ACTION,
            SOURCE,
            each.since,
            {"scope": str(each.scope), "state": each.state},
        )
        for each in found.restrictions
    ]
    if found.is_closed and not found.is_new:
        doubt = {"scope": str(EVERYTHING), "state": "halted", "cause": "latch"}
        alerts.append(Alert(NAME, "page", found.problem, ACTION, SOURCE, datetime.now(UTC), doubt))
    return alerts


def raise_switch_alerts(home: Path) -> None:
    """Bring the book of alerts in line with the latch; the book is written where something changed."""
    present = switch_alerts(read_latch(home))
    resolve_absent(home, SOURCE, present)
    raise_alerts(home, present)


def deliver_round(configured: "Settings", channels: "Sequence[AlertChannel]") -> Round:
    """Take in the alerts of the switch, and send what is due."""
    raise_switch_alerts(configured.home)
    return deliver(configured.home, channels, repeat_minutes=configured.alert_repeat_minutes)
