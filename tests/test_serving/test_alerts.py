"""Every alert, evaluated by a real Prometheus on scraped numbers: silent while all is well, heard when it is not."""

import http.server
import json
import shutil
import subprocess
import threading
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from serving.monitoring import metrics
from serving.outcomes import show_figures
from support.figures import records
from support.ports import free_port
from support.waiting import rest, until

FOLDER = Path(metrics.__file__).parents[1]
SECONDS = 90.0
LATER = 15.0
"""Seconds after a change until what Prometheus says counts."""

pytestmark = pytest.mark.slow


def well():
    """One more second in which all is well."""
    for _ in range(1_000):
        metrics.observe(metrics.timer(metrics.REQUEST_SECONDS, "/api/v1/public/predict", "200"), 0.003)
    metrics.READY.set(1)
    metrics.FEATURES_AGE_SESSIONS.set(0)
    metrics.LOG_WAITING.set(10)
    metrics.LOG_OLDEST_SECONDS.set(60)
    metrics.LOG_BYTES.set(2e9)
    metrics.LOG_QUARANTINED.set(0)
    metrics.LOG_DAMAGED.set(0)
    metrics.COVERAGE.labels("calm_up", "5").set(0.8)
    show_figures(records(skill=0.01, coverage=0.8))
    metrics.REDIS_RESTARTS.set(0)
    metrics.LIMITED.labels("shared").inc()
    metrics.BACKUPS_CONFIGURED.set(1)
    metrics.DRILLED.set(time.time() - 7 * 86_400)
    for quiet in (
        metrics.PROBLEMS.labels("overloaded", "503"),
        metrics.PROBLEMS.labels("model-not-available", "503"),
        metrics.DEGRADED.labels("refused"),
        metrics.ONLINE_UNVERIFIED.labels("strategy"),
        metrics.LIMITED.labels("local"),
        metrics.MODEL_REFUSALS.labels("lstm"),
        metrics.EXPLANATION_JOBS.labels("failed"),
        metrics.NARRATIVE_SENTENCES.labels("model", "number"),
    ):
        quiet.inc(0)
    metrics.EXPLANATION_JOBS.labels("completed").inc(10)
    metrics.NARRATIVE_SENTENCES.labels("model", "passed").inc(10)


def ill():
    """One more second in which nothing is."""
    for status, seconds in (("200", 0.6), ("500", 0.1), ("503", 0.1)):
        for _ in range(100):
            metrics.observe(metrics.timer(metrics.REQUEST_SECONDS, "/api/v1/public/predict", status), seconds)
    metrics.READY.set(0)
    metrics.FEATURES_AGE_SESSIONS.set(3)
    metrics.LOG_WAITING.set(2_000_000)
    metrics.LOG_OLDEST_SECONDS.set(400_000)
    metrics.LOG_BYTES.set(30e9)
    metrics.LOG_QUARANTINED.set(1)
    metrics.LOG_DAMAGED.set(1)
    metrics.COVERAGE.labels("calm_up", "5").set(0.6)
    show_figures(records(skill=-0.05, coverage=0.6))
    metrics.PROBLEMS.labels("overloaded", "503").inc(100)
    metrics.PROBLEMS.labels("model-not-available", "503").inc(1)
    metrics.DEGRADED.labels("refused").inc(1)
    metrics.ONLINE_UNVERIFIED.labels("strategy").inc(1)
    metrics.REDIS_RESTARTS.inc(5)
    metrics.LIMITED.labels("local").inc(1)
    metrics.MODEL_REFUSALS.labels("lstm").inc(1)
    metrics.STREAM_DROPPED.inc(5)
    metrics.RETRIEVAL_FUTURE_HITS.inc()
    metrics.EXPLANATION_JOBS.labels("failed").inc(10)
    metrics.NARRATIVE_SENTENCES.labels("model", "number").inc(10)
    metrics.DRILLED.set(time.time() - 10 * 86_400)


@contextmanager
def scraped(settings):
    """A server of the real exposition; gives its port and what happens in the second before each scrape."""
    state = {"second": well}

    class Metrics(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            state["second"]()
            body = metrics.exposition(settings)
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def prometheus(folder, target):
    """Prometheus with our files, everything at once: every second, and no alert waits. Gives a way to ask it."""
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule.pop("for", None)
    configured = yaml.safe_load((FOLDER / "prometheus.yaml").read_text())
    configured["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configured["scrape_configs"][0]["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    (folder / "alerts.yaml").write_text(yaml.safe_dump(rules))
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(configured))
    port = free_port()
    command = [
        shutil.which("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield lambda path: json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=120))["data"]
    finally:
        process.terminate()
        process.wait(120)


def firing(ask):
    """Alerts by name: whether they fire; every rule must have been evaluated without an error."""
    rules = [rule for group in ask("/api/v1/rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    return {rule["name"]: rule["state"] == "firing" for rule in rules}


def until_firing(ask, is_so):
    def look():
        with suppress(OSError, AssertionError):
            found = firing(ask)
            return is_so(found) and found

    return until(look, seconds=SECONDS)


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
def test_every_alert_is_silent_while_all_is_well_and_fires_when_it_is_not(settings, tmp_path):
    with scraped(settings) as (port, state), prometheus(tmp_path, port) as ask:
        until_firing(ask, lambda found: not any(found.values()))
        for _ in range(int(LATER)):
            assert not any(firing(ask).values())
            rest(1)
        state["second"] = ill
        names = set(firing(ask))
        found = until_firing(ask, lambda found: sum(found.values()) == len(names) - 1)
        assert {name for name, fires in found.items() if not fires} == {"QuantlakeDown"}
        state["second"] = None  # the service answers no scrape any more
        until_firing(ask, lambda found: found["QuantlakeDown"])
