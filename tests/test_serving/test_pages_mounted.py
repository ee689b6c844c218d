"""The dashboard at `/app` of the endpoint: links, cookie, forms and stream stay below it, and open nothing else."""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from pydantic import ValidationError
from starlette.testclient import TestClient

from lake.errors import ConfigError
from lake.settings import Settings, settings
from serving.access import local_key
from serving.client import Client
from serving.pages import MOUNTED_ROOT, dashboard_address
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.pages.login import SessionCookie
from serving.supervision import serve_command, serve_environment
from serving.web.app import build_app
from support.clients import LOCAL, headers_of, listening
from support.dashboard import Page, browsing, following, log_in_as_owner

SYMBOLS = "/api/v1/public/symbols"
EVERY_PAGE = (
    "/",
    "/s/KO",
    "/models",
    "/models/ridge",
    "/strategies",
    "/backtests",
    "/desk",
    "/operations",
    "/settings",
    "/about",
    "/s/KO/why",
    "/s/APPL",
)
MADE_UP = "-scheduled"
"""End of the ids of forecasts that the home of the tests holds without a receipt."""
ADDRESSES = ("href", "src", "action", "data-stream")


@contextmanager
def mounting(home, scheme="http"):
    """Give a client of an endpoint with the dashboard of a home at its usual path."""
    dashboard = Dashboard.open(home, MOUNTED_ROOT)
    pages = build_dashboard(home, dashboard, MOUNTED_ROOT)
    app = build_app(mounted={MOUNTED_ROOT: pages}, configured=home)
    address = LOCAL.replace("http", scheme)
    with TestClient(app, f"{address}{MOUNTED_ROOT}/", raise_server_exceptions=False, follow_redirects=False) as client:
        client.headers["origin"] = address
        yield client
    dashboard.close()


@pytest.fixture
def stranger(settings: Settings):
    """Somebody who is not logged in, at an empty home."""
    with mounting(settings) as client:
        yield client


@pytest.fixture(scope="module")
def visitor(watched_home):
    with mounting(watched_home.settings) as client:
        log_in_as_owner(client, watched_home.settings)
        yield client


@pytest.mark.parametrize("path", EVERY_PAGE)
def test_every_address_of_a_page_lies_below_the_root_and_leads_somewhere(visitor, path):
    page = Page(visitor.get(path).text)
    own = {element[name] for element in page.elements for name in ADDRESSES if element.get(name, "").startswith("/")}
    assert own, "a page has links"
    assert [address for address in own if not address.startswith(f"{MOUNTED_ROOT}/")] == []
    shown = [link["href"] for link in page.all("a") if link.get("href") in own] + [
        element[name]
        for element in page.all("script") + page.all("link")
        for name in ("src", "href")
        if name in element
    ]
    linked = {each for each in shown if each[0] == "/" and not each.endswith(MADE_UP)}
    found = {address: visitor.get(f"{LOCAL}{address}").status_code for address in linked}
    assert {address: status for address, status in found.items() if status not in {200, 503}} == {}


@pytest.mark.parametrize("path", ["/docs/nothing", "/static/nothing.css"])
def test_what_there_is_not_in_a_folder_is_a_page_of_the_dashboard(settings, stranger, path):
    log_in_as_owner(stranger, settings)
    answer = stranger.get(path)
    assert answer.status_code == 404
    page = Page(answer.text)
    found = {each[name] for each in page.elements for name in ADDRESSES if each.get(name, "").startswith("/")}
    assert f"{MOUNTED_ROOT}/" in found
    (style,) = [each["href"] for each in page.all("link", rel="stylesheet")]
    assert stranger.get(f"{LOCAL}{style}").status_code == 200


def test_the_root_leads_to_the_watch_list_and_the_login_back_to_the_page_that_was_asked_for(settings, stranger):
    assert stranger.get(f"{LOCAL}/app").headers["location"] == "/app/"
    assert stranger.get("/").headers["location"] == "/app/login"
    asked = stranger.get("/about?horizon=5")
    assert asked.headers["location"] == "/app/login?next=%2Fapp%2Fabout%3Fhorizon%3D5"
    form = Page(stranger.get(f"{LOCAL}{asked.headers['location']}").text)
    assert form.all("form")[0]["action"] == "/app/login"
    answer = stranger.post("/login", data={"key": local_key(settings), "next": "/app/about?horizon=5"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/app/about?horizon=5")
    for elsewhere in ("/docs", "//evil.example", "/application"):
        answer = stranger.post("/login", data={"key": local_key(settings), "next": elsewhere})
        assert answer.headers["location"] == "/app/"


def test_the_cookie_goes_to_the_pages_alone_and_over_tls_where_there_is_tls(settings, stranger, tmp_path):
    log = stranger.post("/login", data={"key": local_key(settings)})
    attributes = log.headers["set-cookie"].lower().split("; ")
    assert {"path=/app", "httponly", "samesite=strict"} <= set(attributes)
    behind_tls = settings.model_copy(update={"tls_certificate": tmp_path / "chain.pem"})
    cookie = SessionCookie.of(behind_tls, MOUNTED_ROOT)
    assert (cookie.name, cookie.path, cookie.is_secure) == (
        f"__Secure-quantlake-dashboard-{settings.port}",
        "/app",
        True,
    )


def test_forms_of_pages_under_tls_are_those_of_https_alone(settings):
    with mounting(settings, "https") as client:
        log_in_as_owner(client, settings)
        token = Page(client.get("/about").text).all("input", name="form_token")[0]["value"]
        form = {"form_token": token, "theme": "dark", "next": "/app/about"}
        assert client.post("/appearance", data=form, headers={"origin": LOCAL}).status_code == 403
        answer = client.post("/appearance", data=form)
        assert answer.headers["location"] == "/app/about"
        assert "path=/app" in answer.headers["set-cookie"].lower()


def test_a_session_opens_no_route_of_the_endpoint_and_a_key_opens_no_page(settings, stranger):
    assert stranger.get("/about", headers=headers_of(settings)).status_code == 303
    log_in_as_owner(stranger, settings)
    assert stranger.get("/about").status_code == 200
    kept = "; ".join(f"{cookie.name}={cookie.value}" for cookie in stranger.cookies.jar)
    assert stranger.get(f"{LOCAL}{SYMBOLS}", headers={"cookie": kept}).status_code == 401
    assert stranger.get(f"{LOCAL}/app/../api/v1/public/symbols", headers={"cookie": kept}).status_code == 401
    for path in ("/application", "/App/about"):
        assert stranger.get(f"{LOCAL}{path}").status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", ""])
def test_another_host_is_refused_before_any_page(settings, stranger, host):
    log_in_as_owner(stranger, settings)
    assert stranger.get("/about", headers={"host": host}).status_code == 421


def test_new_forecasts_lead_to_receipts_below_the_root(watched_home):
    home = watched_home.settings
    dashboard = Dashboard.open(home, MOUNTED_ROOT)
    app = build_app(mounted={MOUNTED_ROOT: build_dashboard(home, dashboard, MOUNTED_ROOT)}, configured=home)
    with listening(app, "httptools") as (_, port), browsing(home, f"http://127.0.0.1:{port}{MOUNTED_ROOT}") as client:
        log_in_as_owner(client, home)
        with following(client, "symbols=KO&horizon=5") as events, Client.local(home) as asking:
            assert next(events).data == "live"
            made = asking.predict("KO", 5)
            told = json.loads(next(event for event in events if event.name == "forecast").data)
        assert told["receipt"] == f"/app/receipts/{made.prediction_id}"
        dashboard.close()  # as the service does, before the server ends


LOOK = (
    "import sys, serving.service; print([each for each in ('serving.pages', 'torch', 'mlflow') if each in sys.modules])"
)


@pytest.mark.parametrize(("choice", "loaded"), [("own", "[]"), ("off", "[]"), ("mounted", "['serving.pages']")])
def test_the_service_loads_the_pages_only_where_they_are_mounted(settings, choice, loaded):
    home = settings.model_copy(update={"dashboard": choice, "workers": 1})
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=serve_environment(home), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == loaded


def test_more_than_one_worker_is_refused_and_the_next_step_named(settings):
    several = settings.model_copy(update={"dashboard": "mounted", "workers": 2})
    with pytest.raises(ConfigError, match=r"2 workers.*QUANTLAKE_WORKERS=1.*QUANTLAKE_DASHBOARD=own"):
        serve_command(several)
    assert serve_command(several.model_copy(update={"workers": 1}))
    assert dashboard_address(several) == f"http://127.0.0.1:{several.port}/app"


def test_another_value_is_refused_with_those_there_are(monkeypatch):
    monkeypatch.setenv("QUANTLAKE_DASHBOARD", "mount")
    settings.cache_clear()
    with pytest.raises(
        ConfigError, match="QUANTLAKE_DASHBOARD: Input should be 'own', 'mounted' or 'off', got 'mount'"
    ):
        settings()
    settings.cache_clear()
    with pytest.raises(ValidationError):
        Settings(dashboard="mount")
