"""Journeys through the dashboard in a browser: any console error or breach of the content security policy fails."""

import json
from datetime import UTC, datetime

import pytest

from serving.access import keys
from serving.client import Client
from serving.pages.formats import signed
from support.browsers import READY, violations

pytestmark = pytest.mark.browser

AXE_PAGES = ("/", "/s/KO", "/s/KO/why?close_change=-3", "/settings", "/s/APPL")
"""Pages that axe looks at here; `test_pages_everywhere` has all of them."""


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


def test_a_scenario_is_answered_in_place_by_the_keyboard_alone(visit):
    page = visit("/s/KO")
    page.locator(READY).wait_for()
    page.get_by_role("link", name="Explain this forecast").click()
    page.get_by_label("Close, change in %").focus()
    page.keyboard.type("-3")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "volume_ratio"
    page.keyboard.press("Enter")
    page.locator("#scenario [data-answer]:focus", has_text="features moved").wait_for()
    assert page.get_by_label("Close, change in %").input_value() == "-3"
    assert page.url.endswith("/s/KO")


def test_a_scenario_is_answered_without_javascript(visit):
    page = visit("/s/KO/why?quantile=p90", java_script_enabled=False)
    page.get_by_label("Close, change in %").fill("2.5")
    page.get_by_role("button", name="Forecast from this bar").click()
    page.locator("#scenario [data-answer]", has_text="moved").wait_for()
    assert "quantile=p90" in page.url
    assert page.url.endswith("#scenario")


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
    page = visit("/login", is_signed_in=False, color_scheme=theme)
    found = {"/login": violations(page)}
    page = visit("/", color_scheme=theme, may_fail=True)
    for path in AXE_PAGES:
        page.goto(path)
        if path == "/s/KO":
            page.locator("#chart[data-ready] canvas").first.wait_for()
        found[path] = violations(page)
    assert {path: each for path, each in found.items() if each} == {}


def test_the_arrows_lead_through_the_bars_of_the_chart(visit):
    page = visit("/s/KO")
    page.locator("#chart[data-ready]").wait_for()
    closes = json.loads(page.locator("#chart-data").inner_text())["closes"]
    said = [f"{datetime.fromtimestamp(each['time'], UTC):%Y-%m-%d}: {each['value']:.2f}" for each in closes]
    page.locator("figure.chart").focus()
    for key, at in (
        ("ArrowLeft", -1),
        ("ArrowLeft", -2),
        ("ArrowRight", -1),
        ("ArrowRight", -1),
        ("Home", 0),
        ("End", -1),
    ):
        page.keyboard.press(key)
        assert page.locator("#chart-at").inner_text() == said[at], key


def test_two_tabs_are_told_of_the_same_forecast(visit, site):
    first = visit("/s/IBM?horizon=5")
    second = first.context.new_page()
    second.goto("/s/IBM?horizon=5")
    for page in (first, second):
        page.locator("[data-live='state']:text-is('live')").wait_for()
    with Client.local(site) as client:
        made = client.predict("IBM", 5)
    for page in (second, first):
        page.locator("[data-live='news']", has_text=f"new forecast of IBM, {made.made_at:%H:%M:%S} UTC").wait_for()
