"""The dashboard below `/app` of the endpoint, in a browser: its links, its policy and its stream hold there too."""

import pytest

from serving.access import local_key
from serving.pages import MOUNTED_ROOT
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.web.app import build_app
from support.browsers import READY, signed_in_at, violations, visiting_pages
from support.clients import listening
from support.ports import free_port

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def mounted(watched_home, predicting):
    """Settings of an endpoint that serves the dashboard."""
    changes = {"dashboard": "mounted", "workers": 1, "port": free_port()}
    settings = watched_home.settings.model_copy(update=changes)
    dashboard = Dashboard.open(settings, MOUNTED_ROOT)
    pages = {MOUNTED_ROOT: build_dashboard(settings, dashboard, MOUNTED_ROOT)}
    options = {"port": settings.port, "ws_ping_interval": None, "timeout_graceful_shutdown": 1}
    with predicting(settings) as predictor, listening(build_app(predictor, mounted=pages), "auto", **options):
        yield settings
        dashboard.close()  # as the service does, before the server ends


@pytest.fixture(scope="module")
def state(mounted, browser):
    return signed_in_at(mounted, browser)


@pytest.fixture
def visit(mounted, browser, state):
    with visiting_pages(mounted, browser, state) as opened:
        yield opened


def test_from_the_login_to_the_symbol_and_its_receipt(visit, mounted):
    page = visit(f"{MOUNTED_ROOT}/s/KO", is_signed_in=False)
    assert page.url.endswith(f"{MOUNTED_ROOT}/login?next=%2Fapp%2Fs%2FKO")
    page.get_by_label("API key").fill(local_key(mounted))
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{MOUNTED_ROOT}/s/KO")
    page.locator("#chart[data-ready] canvas").first.wait_for()
    page.locator("[data-live='state']:text-is('live')").wait_for()
    assert page.locator("#expected").inner_text().endswith(" %")
    page.get_by_role("link", name="Receipt of this forecast").click()
    page.locator(READY).wait_for()
    identifier = page.locator("#receipt-id").inner_text()
    assert page.url.endswith(f"{MOUNTED_ROOT}/receipts/{identifier}")
    assert page.locator("#command").inner_text() == f"quantlake replay {identifier}"


def test_the_explanation_and_another_session_stay_below_the_root(visit):
    page = visit(f"{MOUNTED_ROOT}/s/KO")
    page.locator(READY).wait_for()
    page.get_by_role("link", name="Explain this forecast").click()
    page.locator("[data-fragment='#why'][data-ready] #why-title").wait_for()
    page.keyboard.press("[")
    page.wait_for_url(f"**{MOUNTED_ROOT}/s/KO?as_of=2012-12-28*")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit, theme):
    page = visit(f"{MOUNTED_ROOT}/", color_scheme=theme)
    found = {}
    for path in ("/", "/s/KO"):
        page.goto(f"{MOUNTED_ROOT}{path}")
        page.locator(READY).wait_for()
        found[path] = violations(page)
    assert {path: each for path, each in found.items() if each} == {}
