"""Journeys through the dashboard in a browser: any console error or breach of the content security policy fails."""

import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from serving.access import keys
from serving.client import Client
from serving.pages import dashboard_address, dashboard_command, login_link
from serving.pages.formats import signed
from serving.processes import tied
from serving.supervision import serve_environment
from support.services import NO_AUTHORITIES
from support.waiting import until

pytestmark = pytest.mark.browser

SHOTS = Path(__file__).parents[2] / "screenshots"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
READY = "html[data-ready]"
PAGES = ("/", "/s/KO", "/models", "/models/ridge", "/strategies", "/operations", "/about")
ERRORS = ("/?search=nothing-like-it", "/s/APPL")


@pytest.fixture(scope="module")
def browser():
    """Chromium of this machine. It is closed with the module: its event loop would be in the way of other tests'."""
    if not CHROMIUM:
        reason = "no Chromium on this machine: make browser"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site(watched_home):
    """Settings of a dashboard that runs as users start it, a process of its own."""
    settings = watched_home.settings
    address = f"{dashboard_address(settings)}/login"
    process = subprocess.Popen(dashboard_command(), **tied(serve_environment(settings)))
    try:
        until(lambda: process.poll() is not None or _answers(address), "the dashboard did not start")
        assert process.poll() is None
        yield settings
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def signed_in(site, browser):
    """State of a browser that opened the link of the terminal."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(login_link(site))
    assert page.title().startswith("Watch list")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def visit(site, browser, signed_in):
    """Open a page in a context of its own; what the browser complains of fails the test at its end."""
    complaints, contexts = [], []

    def opened(path="/", *, is_signed_in=True, may_fail=False, **options):
        options |= {"storage_state": signed_in} if is_signed_in else {}
        context = browser.new_context(base_url=dashboard_address(site), **options)
        contexts.append(context)
        page = context.new_page()
        if not may_fail:  # a page of status 404 is itself reported to the console
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url) if not _is_own(asked.url, site) else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _is_own(url, settings):
    return url.startswith((f"{dashboard_address(settings)}/", "data:"))


def _answers(address):
    try:
        return httpx.get(address, verify=NO_AUTHORITIES).status_code == 200
    except httpx.TransportError:
        return False


def test_from_the_search_to_the_symbol_its_receipt_and_the_command(visit):
    page = visit("/")
    page.locator(READY).wait_for()
    page.keyboard.press("/")
    page.keyboard.type("ko")
    page.keyboard.press("Enter")
    page.locator("#watch tbody th a", has_text="KO").click()
    page.locator("#chart[data-ready] canvas").first.wait_for()
    assert page.locator("#expected").inner_text().endswith(" %")
    page.get_by_role("link", name="Receipt of this forecast").click()
    identifier = page.locator("#receipt-id").inner_text()
    assert page.locator("#command").inner_text() == f"quantlake replay {identifier}"
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Cop").or_(page.get_by_role("button", name="Selected")).wait_for()


def test_keys_and_the_slider_lead_through_the_sessions(visit):
    page = visit("/s/KO")
    page.locator("#chart[data-ready]").wait_for()
    live = page.locator("#known").inner_text()
    page.keyboard.press("[")
    page.wait_for_url("**as_of=2012-12-28*")
    page.locator(READY).wait_for()
    page.keyboard.press("[")
    page.wait_for_url("**as_of=2012-12-27*")
    page.locator(READY).wait_for()
    assert page.locator("#known").inner_text() == "known at 2012-12-27 21:00 UTC"
    page.keyboard.press("]")
    page.wait_for_url("**as_of=2012-12-28*")
    page.locator(READY).wait_for()
    page.locator("#slider").focus()
    page.keyboard.press("End")
    page.wait_for_url(lambda url: "as_of" not in url)
    assert page.locator("#known").inner_text() == live


def test_the_explanation_is_put_into_the_page(visit):
    page = visit("/s/KO")
    page.locator(READY).wait_for()
    page.get_by_role("link", name="Explain this forecast").click()
    page.locator("[data-fragment='#why'][data-ready] #why-title").wait_for()
    assert "Why the median" in page.locator("#why-title").inner_text()
    assert page.url.endswith("/s/KO")


def test_a_new_forecast_is_told_of_and_shown_without_a_reload(visit, site):
    page = visit("/s/KO?horizon=5")
    page.locator("[data-live='state']:text-is('live')").wait_for()
    with Client.local(site) as client:
        made = client.predict("KO", 5)
    page.locator("[data-live='news']", has_text=f"new forecast of KO, {made.made_at:%H:%M:%S} UTC").wait_for()
    page.get_by_role("link", name="show", exact=True).click()
    shown = page.locator("[data-live='panel'] section")
    shown.wait_for()
    assert signed(made.prediction.p50, 2) in shown.inner_text()
    assert page.url.endswith("/s/KO?horizon=5")


def test_everything_is_reached_with_the_keyboard_alone(visit):
    page = visit("/s/KO")
    page.locator("#chart[data-ready]").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("(document.activeElement.id || document.activeElement.textContent).trim().slice(0, 30)"))
    assert {"search", "slider", "as_of", "Receipt of this forecast", "ghosts", "Explain this forecast"} <= seen
    page.locator("#table summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#table tbody tr").first.is_visible()


def test_without_javascript_every_number_is_there(visit, site):
    _, key = keys.create(site, "plain", "predict", "unlimited", by="tests")
    page = visit("/s/KO", is_signed_in=False, java_script_enabled=False)
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/s/KO")
    assert page.locator("#expected").inner_text().endswith(" %")
    page.locator("#table summary").click()
    assert page.locator("#table tbody tr").count() > 200
    page.get_by_label("as of").fill("2012-12-14")
    page.get_by_role("button", name="Go").click()
    assert "known at 2012-12-14 21:00 UTC" in page.locator("#known").inner_text()
    assert page.get_by_role("link", name="Operations").count() == 0


def test_a_theme_is_chosen_without_javascript_and_outweighs_the_system(visit):
    page = visit("/about", java_script_enabled=False, color_scheme="light")
    page.get_by_label("Theme", exact=True).select_option("dark")
    page.get_by_role("button", name="Set the theme").click()
    page.locator("html[data-theme=dark]").wait_for()
    page.wait_for_load_state("load")  # the style sheet is there
    assert page.url.endswith("/about")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(18, 20, 23)"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visit, theme):
    found = {}
    page = visit("/login", is_signed_in=False, color_scheme=theme)
    found["/login"] = _violations(page)
    page = visit("/", color_scheme=theme, may_fail=True)
    SHOTS.mkdir(exist_ok=True)
    for path in (*PAGES, *ERRORS):
        page.goto(path)
        if path == "/s/KO":
            page.locator("#chart[data-ready] canvas").first.wait_for()
        found[path] = _violations(page)
        name = path.strip("/?").replace("/", "-").replace("=", "-") or "watch-list"
        page.screenshot(path=SHOTS / f"{name}-{theme}.png", full_page=True)
    assert {path: each for path, each in found.items() if each} == {}


def _violations(page):
    return [f"{each['id']}: {each['nodes'][0]['html'][:120]}" for each in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("path", PAGES)
def test_a_narrow_screen_scrolls_in_one_direction(visit, path):
    page = visit(path, viewport={"width": 320, "height": 800})
    page.locator(READY).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
