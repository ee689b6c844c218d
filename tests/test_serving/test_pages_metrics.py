"""Metrics of the dashboard: who may scrape them, what they count, and that no label holds what a visitor sent."""

import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from lake.settings import Settings
from serving.access import keys
from serving.monitoring.metrics import PAGE_METRICS
from serving.pages import MOUNTED_ROOT
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.pages.policy import RULES
from serving.web.app import build_app
from support.clients import LOCAL
from support.dashboard import log_in, log_in_as_owner

HERE, ELSEWHERE = ("127.0.0.1", 50_000), ("192.0.2.7", 50_000)


@pytest.fixture
def empty(settings: Settings) -> Settings:
    """An empty home: nothing here needs data."""
    return settings.model_copy(update={"dashboard_port": 3002})


@pytest.fixture
def visit(empty):
    """Give a client of one dashboard, by the address that it comes from."""
    app = build_dashboard(empty)
    address = f"http://127.0.0.1:{empty.dashboard_port}"

    def client(peer):
        made = TestClient(app, address, raise_server_exceptions=False, follow_redirects=False, client=peer)
        made.headers["origin"] = address
        return made

    return client


def samples(text):
    """Every sample of an exposition, by name and values of its labels."""
    families = text_string_to_metric_families(text)
    return {(each.name, *each.labels.values()): each.value for one in families for each in one.samples}


def scrape(client, path="/metrics"):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return samples(answer.text)


def grown(before, after, name):
    """Samples of a metric that have grown, by the values of their labels."""
    by = {key: value - before.get(key, 0) for key, value in after.items() if key[0] == name}
    return {key[1:]: amount for key, amount in by.items() if amount}


def test_this_machine_needs_no_login_and_others_a_session(empty, visit):
    assert visit(HERE).get("/metrics").status_code == 200
    there = visit(ELSEWHERE)
    assert there.get("/metrics").headers["location"].partition("?")[0] == "/login"
    _, text = keys.create(empty, "reader", "read", "unlimited", by="tests")
    log_in(there, text)
    assert there.get("/metrics").status_code == 200
    assert visit(HERE).get("/metrics", headers={"host": "evil.example"}).status_code == 421
    assert visit(HERE).post("/metrics").status_code == 405


def test_only_metrics_of_the_dashboard_are_shown(visit):
    text = visit(HERE).get("/metrics").text
    families = {family.name.removesuffix("_created") for family in text_string_to_metric_families(text)}
    assert families == PAGE_METRICS == {"quantlake_page_seconds", "quantlake_page_streams", "quantlake_logins"}


def test_pages_are_timed_under_their_declared_address_whatever_was_asked(empty, visit):
    client = visit(HERE)
    before = scrape(client)
    client.get("/s/HIDDENHERE")
    log_in_as_owner(client, empty)
    client.get("/about")
    client.get("/s/HIDDENHERE")
    client.get("/nowhere/HIDDENHERE")
    client.put("/s/HIDDENHERE")
    text = client.get("/metrics").text
    assert "HIDDENHERE" not in text
    counted = grown(before, samples(text), "quantlake_page_seconds_count")
    assert {page for page, _ in counted} <= {rule.path for rule in RULES} | {"other"}
    assert counted[("/s/{symbol}", "303")] == 1
    assert counted[("/about", "200")] == 1
    assert (counted[("other", "404")], counted[("other", "405")]) == (1, 1)


def test_each_attempt_to_log_in_is_counted_once_by_its_result(empty, visit):
    client = visit(HERE)
    before = scrape(client)
    log_in_as_owner(client, empty)
    client.cookies.clear()
    assert client.post("/login", data={"key": "ql_wrong"}).status_code == 401
    assert [client.get("/login?code=used").status_code for _ in range(4)] == [401, 401, 401, 429]
    expected = {("accepted",): 1, ("wrong_key",): 1, ("used_link",): 3, ("too_often",): 1}
    assert grown(before, scrape(client), "quantlake_logins_total") == expected


def test_mounted_pages_are_counted_by_the_endpoint(copy_home, predicting, tmp_path):
    mounting = copy_home(tmp_path / "home", dashboard="mounted", workers=1)
    with predicting(mounting.settings) as predictor:
        dashboard = Dashboard.open(mounting.settings, MOUNTED_ROOT)
        pages = build_dashboard(mounting.settings, dashboard, MOUNTED_ROOT)
        app = build_app(predictor, mounted={MOUNTED_ROOT: pages}, configured=mounting.settings)
        with TestClient(app, LOCAL, follow_redirects=False, client=HERE) as client:
            before = scrape(client)
            assert client.get(f"{MOUNTED_ROOT}/s/KO").status_code == 303
            after = scrape(client)
            assert grown(before, after, "quantlake_page_seconds_count") == {("/s/{symbol}", "303"): 1}
            assert {"quantlake_ready", "quantlake_page_streams"} <= {key[0] for key in after}
            assert ("quantlake_ready",) not in scrape(client, f"{MOUNTED_ROOT}/metrics")
        dashboard.close()
