"""Channels that alerts go out by: e-mail, a Slack-style web hook, and a generic web hook."""

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import httpx

from lake.errors import ConfigError
from serving.alerting.alert import AlertRecord, message_of, subject_of, text_of

if TYPE_CHECKING:
    from lake.settings import Settings

TIMEOUT_SECONDS = 10.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SUBMISSION_PORTS = {"smtp": 587, "smtps": 465}
"""Ports of mail submission: by STARTTLS, and by TLS from the first byte (RFC 8314)."""


class Undelivered(Exception):  # noqa: N818 - a state of one message, never raised out of this folder
    """A message did not arrive; the text says why and holds no secret."""


class AlertChannel(Protocol):
    """One way out."""

    @property
    def name(self) -> str:
        """Name of the channel, as the alert book keeps it."""

    def send(self, record: AlertRecord) -> None:
        """Send one message.

        Raises
        ------
        Undelivered
            If it did not arrive.
        """


@dataclass(frozen=True)
class EmailChannel:
    """E-mail by SMTP; never in the clear but on this machine.

    Parameters
    ----------
    url
        ``smtp://user:password@host:587`` (STARTTLS) or ``smtps://...:465``; letters of a password as in any address.
    sender, recipients
        Addresses.
    """

    url: str = field(repr=False)
    sender: str
    recipients: tuple[str, ...]
    name: str = "email"

    def send(self, record: AlertRecord) -> None:
        """Send one e-mail to every recipient."""
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or SUBMISSION_PORTS[parts.scheme]
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject_of(record), self.sender, ", ".join(self.recipients)
        message.set_content(text_of(record))
        try:
            context = ssl.create_default_context()
            made: smtplib.SMTP = (
                smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_SECONDS, context=context)
                if parts.scheme == "smtps"
                else smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
            )
            with made as server:
                if parts.scheme == "smtp" and host not in LOOPBACK:
                    server.starttls(context=context)
                if parts.username:
                    server.login(unquote(parts.username), unquote(parts.password or ""))
                refused = server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise Undelivered(f"{host}:{port} did not take the e-mail: {_plain(error, self.url)}") from None
        if refused:
            raise Undelivered(f"{host}:{port} refused {len(refused)} of {len(self.recipients)} recipients.")


@dataclass(frozen=True)
class HookChannel:
    """A web hook: one POST for each message.

    Parameters
    ----------
    url
        Its address, which may be a secret itself.
    is_slack
        Whether the body is ``{"text": ...}``, as Slack, Mattermost and others take it; else the fields of the alert.
    key
        Sent as a bearer token; none where it is empty.
    """

    url: str = field(repr=False)
    name: str
    is_slack: bool
    key: str = field(default="", repr=False)

    def send(self, record: AlertRecord) -> None:
        """Send one POST; any status but 2xx counts as not arrived."""
        host = urlsplit(self.url).netloc.rpartition("@")[2]
        body = {"text": text_of(record)} if self.is_slack else message_of(record)
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False, follow_redirects=False) as client:
                answer = client.post(self.url, json=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Undelivered(f"{host} was not reached: {_plain(error, self.url, self.key)}") from None
        if not answer.is_success:
            raise Undelivered(f"{host} answered with status {answer.status_code}.")


def channels_of(configured: "Settings") -> tuple[AlertChannel, ...]:
    """Return the channels that the environment declares; none where it declares none.

    Raises
    ------
    ConfigError
        If a channel is declared by half, or would send secrets in the clear.
    """
    found: list[AlertChannel] = []
    recipients = tuple(each.strip() for each in configured.alert_email_to.split(",") if each.strip())
    if configured.alert_smtp_url is not None or recipients:
        found.append(_email(configured, recipients))
    if configured.alert_slack_url is not None:
        url = configured.alert_slack_url.get_secret_value()
        found.append(HookChannel(_safe(url, "QUANTLAKE_ALERT_SLACK_URL"), "slack", is_slack=True))
    if configured.alert_webhook_url is not None:
        key = configured.alert_webhook_key
        url = _safe(configured.alert_webhook_url.get_secret_value(), "QUANTLAKE_ALERT_WEBHOOK_URL")
        found.append(HookChannel(url, "webhook", is_slack=False, key="" if key is None else key.get_secret_value()))
    return tuple(found)


def _email(configured: "Settings", recipients: tuple[str, ...]) -> EmailChannel:
    if configured.alert_smtp_url is None or not recipients:
        missing = "QUANTLAKE_ALERT_EMAIL_TO" if configured.alert_smtp_url is not None else "QUANTLAKE_ALERT_SMTP_URL"
        raise ConfigError(f"E-mail of alerts is declared by half: {missing} is not set. Set both, or none.")
    url = configured.alert_smtp_url.get_secret_value()
    parts = urlsplit(url)
    if parts.scheme not in SUBMISSION_PORTS or not parts.hostname:
        raise ConfigError(
            "QUANTLAKE_ALERT_SMTP_URL is not smtp://user:password@host:587 or smtps://...:465. Correct it."
        )
    return EmailChannel(url, configured.alert_email_from or recipients[0], recipients)


def _safe(url: str, variable: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK):
        return url
    raise ConfigError(f"{variable} is neither https nor on this machine: alerts would go in the clear. Use https.")


def _plain(error: Exception, *secrets: str) -> str:
    """Return the text of an error on one line, without secrets."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    parts = [urlsplit(each) for each in secrets if "://" in each]
    hidden = {*secrets, *(p.password or "" for p in parts), *(p.path for p in parts if len(p.path) > 1)} - {""}
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, "***").replace(unquote(secret), "***")
    return text[:300]
