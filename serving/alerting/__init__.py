"""Alerting: alerts of the whole platform are kept until somebody acknowledges them, and go out by configuration.

- `alert`: an alert, what became of it, and the text of a message
- `book`: the file that holds them; raising, acknowledging, ending
- `channels`: e-mail, Slack-style and generic web hook, declared by the environment
- `delivering`: what is due is sent, repeated, and tried again
- `prometheus`: alerts of the rules in `serving/monitoring/alerts.yaml`, as an Alertmanager hands them on
"""

from serving.alerting.alert import Alert, AlertRecord, Delivery
from serving.alerting.book import acknowledge, raise_alerts, read_alerts, resolve_absent
from serving.alerting.channels import AlertChannel, channels_of
from serving.alerting.delivering import Round, check_channels, deliver
from serving.alerting.prometheus import alert_of

__all__ = [
    "Alert",
    "AlertChannel",
    "AlertRecord",
    "Delivery",
    "Round",
    "acknowledge",
    "alert_of",
    "channels_of",
    "check_channels",
    "deliver",
    "raise_alerts",
    "read_alerts",
    "resolve_absent",
]
