"""Alerts: kept, delivered by real servers on this machine, repeated until acknowledged, and nothing waits for them."""

import http.server
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from lake.errors import ConfigError, DamagedFileError, UnknownNameError
from lake.settings import Settings
from lake.store import Lake
from serving import audit
from serving.alerting import (
    Alert,
    acknowledge,
    alert_of,
    channels_of,
    check_channels,
    deliver,
    raise_alerts,
    read_alerts,
)
from serving.alerting.book import book_path
from serving.risk import Scope, deliver_round, raise_switch_alerts, restrict, resume
from support.mail_server import mail_server

NOW = datetime(2024, 1, 2, 15, 0, tzinfo=UTC)
SLOW = Alert("QuantlakeSlow", "ticket", "Answers are slow.", "Look at the board.", "test", NOW, {"job": "one"})


class Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted, and answers with the status that the server is set to."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.posted.append((self.path, self.headers.get("authorization"), json.loads(body)))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hook_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        server.posted, server.status = [], 200
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def hooked(home, server, **others: object) -> Settings:
    address = f"http://127.0.0.1:{server.server_address[1]}/hook-secret"
    return Settings(home=home, alert_webhook_url=address, alert_webhook_key="k3y", **others)


def test_one_alert_goes_out_by_every_channel(tmp_path):
    with mail_server() as mail, hook_server() as server:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        configured = Settings(
            home=tmp_path,
            alert_smtp_url=mail.url,
            alert_email_to="a@example.org, b@example.org",
            alert_slack_url=f"{address}/slack",
            alert_webhook_url=f"{address}/any",
            alert_webhook_key="k3y",
        )
        raise_alerts(tmp_path, [SLOW])
        assert deliver(tmp_path, channels_of(configured), repeat_minutes=60, now=NOW) == (3, 0)
    (mail_text,) = mail.messages
    assert "Subject: [quantlake firing] ticket: QuantlakeSlow" in mail_text
    assert "To: a@example.org, b@example.org" in mail_text
    (slack, hook) = sorted(server.posted, key=lambda each: each[0], reverse=True)
    assert slack[:2] == ("/slack", None)
    assert SLOW.alert_id in slack[2]["text"]
    assert hook[:2] == ("/any", "Bearer k3y")
    assert {name: hook[2][name] for name in ("name", "state", "labels")} == {
        "name": "QuantlakeSlow",
        "state": "firing",
        "labels": {"job": "one"},
    }


def test_an_alert_repeats_until_a_named_person_takes_it_over(tmp_path):
    with hook_server() as server:
        configured = hooked(tmp_path, server)
        channels = channels_of(configured)
        raise_alerts(tmp_path, [SLOW])
        for minutes in (0, 59, 60, 61, 121):
            deliver(tmp_path, channels, repeat_minutes=60, now=NOW + timedelta(minutes=minutes))
        assert len(server.posted) == 3  # at once, after 60 and after 121 minutes
        with pytest.raises(ConfigError):
            acknowledge(configured, SLOW.alert_id, by=" ", who="tests")
        acknowledge(configured, SLOW.alert_id, by="A. Reviewer", who="tests")
        deliver(tmp_path, channels, repeat_minutes=60, now=NOW + timedelta(days=2))
        assert len(server.posted) == 3
        (row,) = audit.newest(Lake.open(configured), 1, "alert.")
        assert (row["what"], json.loads(row["details"])["by"]) == ("alert.acknowledge", "A. Reviewer")
        ended = Alert(**{**vars(SLOW), "resolved_at": NOW + timedelta(days=2)})
        raise_alerts(tmp_path, [ended])
        deliver(tmp_path, channels, repeat_minutes=60, now=NOW + timedelta(days=3))
        assert server.posted[-1][2]["state"] == "resolved"
        assert raise_alerts(tmp_path, [SLOW]) == 1  # it comes again, and nobody has taken it over
        assert read_alerts(tmp_path)[0].state == "firing"


def test_a_failure_is_visible_is_tried_again_and_holds_no_secret(tmp_path):
    with mail_server() as mail, hook_server() as server:
        configured = hooked(tmp_path, server, alert_smtp_url=mail.url, alert_email_to="a@example.org")
        channels = channels_of(configured)
        mail.is_refusing, server.status = True, 500
        raise_alerts(tmp_path, [SLOW])
        assert deliver(tmp_path, channels, repeat_minutes=60, now=NOW) == (0, 2)
        (record,) = read_alerts(tmp_path)
        assert record.is_undelivered
        assert {name: each.tries for name, each in record.deliveries.items()} == {"email": 1, "webhook": 1}
        assert "status 500" in record.deliveries["webhook"].error
        assert "hook-secret" not in str(record.deliveries)
        assert deliver(tmp_path, channels, repeat_minutes=60, now=NOW + timedelta(seconds=4)) == (0, 0)
        mail.is_refusing, server.status = False, 200
        assert deliver(tmp_path, channels, repeat_minutes=60, now=NOW + timedelta(seconds=5)) == (2, 0)
        assert not read_alerts(tmp_path)[0].is_undelivered


def test_a_server_that_is_gone_blocks_nothing_and_is_named_by_the_test(tmp_path):
    with hook_server() as server:
        configured = hooked(tmp_path, server)
    raise_alerts(tmp_path, [SLOW])
    assert deliver(tmp_path, channels_of(configured), repeat_minutes=60) == (0, 1)
    (problem,) = check_channels(channels_of(configured)).values()
    assert "was not reached" in problem
    assert "hook-secret" not in problem
    assert "k3y" not in problem


@pytest.mark.parametrize(
    "given",
    [
        {"alert_email_to": "a@example.org"},
        {"alert_smtp_url": "smtp://mail.example"},
        {"alert_smtp_url": "http://mail.example", "alert_email_to": "a@example.org"},
        {"alert_slack_url": "http://hooks.example/x"},
        {"alert_webhook_url": "ftp://127.0.0.1/x"},
    ],
)
def test_a_channel_by_half_or_in_the_clear_is_refused(tmp_path, given):
    with pytest.raises(ConfigError):
        channels_of(Settings(home=tmp_path, **given))


def test_no_secret_is_in_what_a_channel_looks_like(tmp_path):
    given = {"alert_smtp_url": "smtps://u:secret@mail.example", "alert_email_to": "a@example.org"}
    assert "secret" not in repr(channels_of(Settings(home=tmp_path, **given)))


def test_alerts_of_prometheus_begin_and_end(tmp_path):
    labels, said = (
        {"alertname": "QuantlakeDown", "severity": "page", "job": "q"},
        {"summary": "Down.", "action": "Look."},
    )
    raise_alerts(tmp_path, [alert_of("firing", labels, said, NOW, NOW)])
    (record,) = read_alerts(tmp_path)
    assert (record.alert.name, record.alert.severity, record.state) == ("QuantlakeDown", "page", "firing")
    raise_alerts(tmp_path, [alert_of("resolved", labels, said, NOW, NOW + timedelta(hours=1))])
    assert read_alerts(tmp_path)[0].state == "resolved"
    assert raise_alerts(tmp_path, [alert_of("resolved", {"alertname": "Never"}, {}, NOW, NOW)]) == 0
    assert len(read_alerts(tmp_path)) == 1


def test_what_is_stopped_is_an_alert_until_it_is_resumed(tmp_path):
    with hook_server() as server:
        configured = hooked(tmp_path, server)
        channels = channels_of(configured)
        assert deliver_round(configured, channels) == (0, 0)  # a home that never had a latch alerts nobody
        resume(tmp_path, by="A. Reviewer", reason="first start")
        restrict(tmp_path, "halted", by="tests", reason="wrong quotes", scope=Scope("symbol", "KO"))
        assert deliver_round(configured, channels) == (1, 0)
        assert deliver_round(configured, channels) == (0, 0)
        assert "symbol:KO is halted" in server.posted[0][2]["summary"]
        resume(tmp_path, by="A. Reviewer", reason="mended", scope=Scope("symbol", "KO"))
        assert deliver_round(configured, channels) == (1, 0)
        assert server.posted[-1][2]["state"] == "resolved"


def test_a_look_that_changes_nothing_writes_nothing(tmp_path):
    raise_switch_alerts(tmp_path)
    raise_alerts(tmp_path, [SLOW])
    before = book_path(tmp_path).stat()
    raise_alerts(tmp_path, [SLOW])
    raise_switch_alerts(tmp_path)
    assert book_path(tmp_path).stat().st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o600


def test_unknown_alerts_and_a_damaged_book_are_named(tmp_path):
    with pytest.raises(UnknownNameError):
        acknowledge(Settings(home=tmp_path), "nothing", by="A. Reviewer", who="tests")
    raise_alerts(tmp_path, [SLOW])
    book_path(tmp_path).write_text("{")
    with pytest.raises(DamagedFileError, match="Move it away"):
        read_alerts(tmp_path)


def test_a_flood_of_labels_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("serving.alerting.book.MOST_OPEN", 3)
    flood = [Alert(**{**vars(SLOW), "labels": {"n": str(n)}}) for n in range(5)]
    with pytest.raises(ConfigError, match="More than"):
        raise_alerts(tmp_path, flood)
    assert read_alerts(tmp_path) == []
