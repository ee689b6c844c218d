"""What an operator sees of two real workers: numbers added up, one JSON object a line, and no secret in any."""

import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lake.settings import Settings
from serving.access import local_key
from serving.monitoring import metrics
from serving.monitoring.metrics import METRICS, PREFIX
from serving.outcomes import Figures
from serving.outcomes.quality_file import BandFigures, ModelFigures, write_figures
from serving.web import gauge_sampler
from serving.web.gauge_sampler import GaugeSampler
from support.clients import headers_of, token_of
from support.services import NO_AUTHORITIES, is_worker, running_service
from support.waiting import until

PREDICT = "/api/v1/public/predict"
WORKERS = 2
FIGURES = Figures(
    models=(
        ModelFigures(model="lstm", horizon_sessions=5, forecasts=900, mean_absolute_error=0.02, pinball_loss=0.008),
    ),
    bands=(BandFigures(regime="calm_up", horizon_sessions=5, forecasts=900, coverage=0.79),),
)


class Running:
    """Two workers, and what they wrote."""

    def __init__(self, service):
        self.service, self.settings, self.address = service, service.settings, service.address
        self.answered = []

    def get(self, path, **options):
        return httpx.get(f"{self.address}{path}", timeout=120, verify=NO_AUTHORITIES, **options)

    def post(self, body, **headers):
        return httpx.post(
            f"{self.address}{PREDICT}",
            json=body,
            headers=headers_of(self.settings) | headers,
            timeout=30,
            verify=NO_AUTHORITIES,
        )

    def ask(self, **headers):
        """One forecast over a connection of its own, so that both workers get some."""
        answer = self.post({"symbol": "AAPL", "horizon_sessions": 1}, **headers)
        self.answered += [answer] if answer.status_code == 200 else []
        return answer

    def series(self):
        """Every series of a scrape, by name and labels."""
        families = text_string_to_metric_families(self.get("/metrics").text)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    def total(self, name, **labels):
        wanted = set(labels.items())
        return sum(value for (series, said), value in self.series().items() if series == name and wanted <= set(said))

    def until(self, what, is_so):
        """Wait for a value and return it."""
        found = []
        until(lambda: found.append(what()) or is_so(found[-1]))
        return found[-1]

    def lines(self):
        return self.service.log.read_text().splitlines()


@pytest.fixture(scope="module")
def running(copy_home, tmp_path_factory):
    # Nothing is remembered, so that engines are asked, and measured, whatever was asked before.
    changes = {"workers": WORKERS, "access_log": "all", "slow_ms": 60_000, "forecast_cache_symbols": 0}
    own = copy_home(tmp_path_factory.mktemp("operations") / "home", **changes)
    write_figures(own.settings, FIGURES)
    with running_service(own.settings) as service:
        running = Running(service)
        running.until(lambda: running.total("quantlake_workers"), lambda found: found == WORKERS)
        yield running


def asked(running):
    return running.total("quantlake_request_seconds_count", route=PREDICT, status="200")


def test_requests_of_both_workers_are_counted_together_each_once(running):
    before = asked(running)
    logged = running.total("quantlake_forecasts_total", kind="served")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: running.ask(), range(60)))
    assert {answer.status_code for answer in answers} == {200}
    # Counted behind the answers, within a moment.
    counted = running.until(lambda: asked(running), lambda found: found >= before + 60)
    assert counted == before + 60
    running.until(lambda: running.total("quantlake_forecasts_total", kind="served"), lambda found: found == logged + 60)
    assert running.total("quantlake_stage_seconds_count", stage="log") > 0


def test_a_scrape_holds_what_is_declared_and_nothing_of_the_libraries(running):
    running.ask()
    running.until(lambda: running.total("quantlake_ready"), lambda found: found == 1)
    names = {name for name, _ in running.series()}
    declared = {series for metric in METRICS for series in metric.series}
    assert {name for name in names if not name.startswith(PREFIX)} == set()
    assert {name.removesuffix("_created") for name in names} <= declared | {metric.name for metric in METRICS}
    told = {
        "quantlake_workers", "quantlake_ready", "quantlake_model_info", "quantlake_features_age_sessions",
        "quantlake_log_waiting_rows", "quantlake_forecasts_total", "quantlake_batch_rows_count",
        "quantlake_engine_seconds_count", "quantlake_stage_seconds_bucket", "quantlake_matured_forecasts",
    }  # fmt: skip
    assert told <= names
    stages = {dict(labels)["stage"] for name, labels in running.series() if name == "quantlake_stage_seconds_count"}
    assert stages == {"wait", "read", "compute", "compose", "log"}


def test_models_in_service_and_figures_of_the_last_session_are_shown_once(running):
    running.until(lambda: running.total("quantlake_band_coverage_ratio"), lambda found: found == 0.79)
    assert running.total("quantlake_forecast_absolute_error_ratio", model="lstm", horizon_sessions="5") == 0.02
    models = {
        dict(labels)["model"]: value
        for (name, labels), value in running.series().items()
        if name == "quantlake_model_info"
    }
    assert {model for model, value in models.items() if value == 1} == {"lstm", "naive", "ridge"}


def test_no_label_holds_what_a_client_chose(running):
    for symbol in ("AAPL", "NOPE"):
        running.post({"symbol": symbol})
        running.get(f"/api/v1/public/regime/{symbol}?x=HIDDENHERE", headers=headers_of(running.settings))
        running.get(f"/nowhere/{symbol}/HIDDENHERE")
    text = running.get("/metrics").text
    assert not [word for word in ("AAPL", "NOPE", "HIDDENHERE", "nowhere") if word in text]


@pytest.mark.slow
def test_a_worker_that_was_killed_is_counted_no_longer_and_what_it_counted_stays(running):
    assert {running.ask().status_code for _ in range(4 * WORKERS)} == {200}
    before = len(running.answered)
    running.until(lambda: asked(running), lambda found: found == before)  # counted behind the answers
    victim = running.service.workers()[0]
    victim.kill()
    running.until(lambda: is_worker(victim), lambda found: not found)
    running.until(lambda: len(running.service.workers()), lambda found: found == WORKERS)
    running.until(lambda: _scraped(running), lambda found: found == WORKERS)
    assert asked(running) == before


def _scraped(running):
    try:
        return running.total("quantlake_workers")
    except httpx.HTTPError:
        return None


def test_every_line_is_json_and_follows_its_request(running):
    answer = running.ask(**{"x-correlation-id": "followed-1"})
    assert answer.headers["x-correlation-id"] == "followed-1"
    said = running.until(lambda: [x for x in running.lines() if "followed-1" in x], bool)
    (line,) = map(json.loads, said)
    assert line["forecast_ids"] == [answer.json()["prediction_id"]]
    assert all(isinstance(json.loads(line), dict) for line in running.lines())


def test_no_secret_is_in_the_whole_output_of_the_service(running):
    key, token = local_key(running.settings), token_of(running.settings)
    running.get(f"/{key}", headers={"authorization": f"Bearer {token}", "x-correlation-id": key})
    running.get(f"/api/v1/public/symbols?token={token}")
    running.ask(**{"user-agent": key})
    text = running.service.log.read_text()
    assert len(text.splitlines()) > 5
    assert key.rpartition("_")[2] not in text
    assert token.rpartition(".")[2] not in text


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Start watchers of one home that note when they look: ``watch(name)``."""
    monkeypatch.setattr(gauge_sampler, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(gauge_sampler, "FLUSH_SECONDS", 0.02)
    looked, started = [], []

    class Noting(GaugeSampler):
        name = ""

        def look(self):
            looked.append(self.name)

    def start(name):
        made = Noting(None, Settings(home=tmp_path))
        made.name = name
        started.append(made)
        return made.start()

    start.looked = looked
    yield start
    for one in started:
        one.close()


def looks_of(looked, name):
    looked.clear()
    until(lambda: looked.count(name) >= 3, f"{name} did not look")
    return set(looked)


def test_one_worker_looks_at_a_time_and_another_goes_on_when_it_ends(watch):
    first = watch("first")
    assert looks_of(watch.looked, "first") == {"first"}
    watch("second")
    assert looks_of(watch.looked, "first") == {"first"}
    first.close()
    assert looks_of(watch.looked, "second") == {"second"}


def test_a_measurement_that_cannot_be_written_does_not_end_the_looking(watch, monkeypatch, caplog):
    flush, failures = metrics.flush, iter(range(3))

    def fail():
        if next(failures, None) is not None:
            raise OSError("no space")
        flush()

    monkeypatch.setattr(metrics, "flush", fail)
    watch("only")
    assert looks_of(watch.looked, "only") == {"only"}
    assert "could not be written down" in caplog.text
