"""Every page in every state, in both themes: accessible, narrow, enlarged, without motion, and as it looks.

The pictures lie in ``screenshots`` afterwards. Beside them lie those of the first run as ``reference``; each later run
is compared with them loosely, and a picture that is removed there is taken anew.
"""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image, ImageChops

from lake.clock import ReplayClock
from serving.client import Client
from serving.web.app import build_app
from support.browsers import READY, dashboard_process, signed_in_at, violations, visiting_pages
from support.clients import listening
from support.ports import free_port

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NOBODY = 1_025
"""A port that no endpoint listens on."""
SHOTS = Path(__file__).parents[2] / "screenshots"
THEMES = ("light", "dark")
COLOURS = ("blue-orange", "green-red", "purple-green")
PAGES = (
    "/", "/?list=mine", "/s/KO", "/s/KO?as_of=2012-12-14", "/s/KO/why", "/s/KO/why?find=direction",
    "/s/KO/why?close_change=-3", "/s/KO/why?close_change=three", "/s/KO/words", "/s/KO/words?depth=deep",
    "/models", "/models/ridge", "/strategies", "/backtests", "/portfolio", "/portfolio/black_litterman", "/risk",
    "/desk", "/operations", "/settings", "/about",
)  # fmt: skip
EMPTY = ("/?search=nothing-like-it", "/?as_of=2011-01-04", "/s/KO?as_of=2011-03-01", "/strategies?as_of=2011-01-04",
         "/portfolio?as_of=2011-01-04", "/portfolio/equal?as_of=2011-01-04")  # fmt: skip
ERRORS = ("/s/APPL", "/portfolio/eqal", "/nothing", "/receipts/nothing", "/jobs/nothing", "/?as_of=no-day")
AWAY = (
    "/",
    "/?list=mine",
    "/s/KO",
    "/s/KO/why",
    "/s/KO/words",
    "/operations",
    "/models/ridge",
    "/settings",
    "/receipts/x",
)
"""Pages of a market that went on by four days without a bar, and whose endpoint is away."""
LOOKS = {"ready": "/s/KO", "list": "/", "past": "/s/KO?as_of=2012-12-14", "empty": "/?search=nothing-like-it",
         "error": "/s/APPL"}  # fmt: skip
AWAY_LOOKS = {"stale-and-degraded": "/s/KO"}
STALE_LOOKS = {"stale": "/s/KO", "stale-list": "/"}
STALE = ("/", "/?list=mine", "/s/KO", "/s/KO/why", "/operations", "/strategies")
"""Pages of a market that went on by four days without a bar, while the endpoint answers."""
PARTS_OF_A_DATE = 6
"""Further steps of the tabulator within the field of a date, whose parts count each."""
DIFFERENT, MOST_DIFFERENT = 48, 0.10
"""Step of a colour, of 255, from which on a pixel counts as another, and the share of pixels that may."""


@pytest.fixture(scope="module")
def forecast(site):
    """Id of a forecast that the endpoint keeps a receipt of."""
    with Client.local(site) as client:
        yield client.predict("KO", 1).prediction_id


def gone_on(home, folder):
    """Copy a home, and let its market go on by four days without a bar."""
    shutil.copytree(home, folder, ignore=shutil.ignore_patterns("*.sock", "*.sqlite*"))
    clock = ReplayClock(folder / "clock.json")
    clock.move_to(clock.now() + timedelta(days=4))


@pytest.fixture(scope="module")
def away(watched_home, tmp_path_factory):
    """Settings of a dashboard without its endpoint, of a market that went on without a bar."""
    home = tmp_path_factory.mktemp("away") / "home"
    gone_on(watched_home.settings.home, home)
    settings = watched_home.settings.model_copy(update={"home": home, "port": NOBODY, "dashboard_port": free_port()})
    with dashboard_process(settings):
        yield settings


@pytest.fixture(scope="module")
def away_state(away, browser):
    return signed_in_at(away, browser)


@pytest.fixture
def visit_away(away, browser, away_state):
    with visiting_pages(away, browser, away_state) as opened:
        yield opened


@pytest.fixture(scope="module")
def stale(watched_home, tmp_path_factory):
    """Settings of a dashboard of a market that went on without a bar, whose endpoint answers."""
    home = tmp_path_factory.mktemp("stale") / "home"
    gone_on(watched_home.settings.home, home)
    settings = watched_home.settings.model_copy(update={"home": home, "dashboard_port": free_port()})
    with dashboard_process(settings):
        yield settings


@pytest.fixture(scope="module")
def stale_state(stale, browser):
    return signed_in_at(stale, browser)


@pytest.fixture
def visit_stale(stale, browser, stale_state):
    with visiting_pages(stale, browser, stale_state) as opened:
        yield opened


def ready(page, path):
    page.goto(path)
    if page.locator("script[src*='dashboard.js']").count():
        page.locator(READY).wait_for()
    if page.locator("#chart").count():
        page.locator("#chart[data-ready] canvas").first.wait_for()


def found_on(page, paths):
    found = {}
    for path in paths:
        ready(page, path)
        found[path] = violations(page)
    return {path: each for path, each in found.items() if each}


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_on_any_page_in_any_state(visit, forecast, theme):
    page = visit("/", color_scheme=theme, may_fail=True)
    assert found_on(page, (*PAGES, f"/receipts/{forecast}", *EMPTY, *ERRORS)) == {}
    page.goto("/s/KO/words")
    page.get_by_role("link", name="The job that writes it").click()
    page.locator(READY).wait_for()
    assert violations(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_while_the_endpoint_is_away(visit_away, theme):
    page = visit_away("/", color_scheme=theme, may_fail=True)
    assert found_on(page, AWAY) == {}


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_where_the_market_went_on_without_a_bar(visit_stale, theme):
    page = visit_stale("/", color_scheme=theme, may_fail=True)
    assert found_on(page, STALE) == {}
    ready(page, "/s/KO")
    said = page.locator("#main").inner_text()
    assert "Stale." in said
    assert "Degraded." not in said


@pytest.mark.parametrize("colours", COLOURS[1:])
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_in_other_colours(visit, site, theme, colours):
    page = visit("/settings")
    page.get_by_label("Theme", exact=True).last.select_option(theme)
    page.get_by_label("Colours of up and down").select_option(colours)
    page.get_by_role("button", name="Keep in this browser").click()
    page.locator(f"html[data-theme={theme}][data-colours={colours}]").wait_for()
    assert found_on(page, ("/", "/s/KO", "/s/KO/why", "/models", "/settings")) == {}


@pytest.mark.parametrize(
    "viewport", [{"width": 320, "height": 800}, {"width": 640, "height": 400}], ids=["320", "200%"]
)
def test_pages_scroll_in_one_direction_on_a_narrow_screen_and_enlarged_to_twice_their_size(visit, forecast, viewport):
    page = visit("/", viewport=viewport, device_scale_factor=1280 / viewport["width"], may_fail=True)
    wide = {}
    for path in (*PAGES, f"/receipts/{forecast}", *EMPTY, *ERRORS):
        ready(page, path)
        wide[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in wide.items() if width > viewport["width"]} == {}


def test_nothing_moves_for_who_wants_no_motion(visit):
    page = visit("/", reduced_motion="reduce")
    moving = """[...document.querySelectorAll("*")].filter((each) => {
        const style = getComputedStyle(each);
        return [style.transitionDuration, style.animationDuration].some((text) => parseFloat(text) > 0);
    }).map((each) => each.outerHTML.slice(0, 80))"""
    for path in ("/", "/s/KO", "/s/KO/why", "/settings"):
        ready(page, path)
        assert page.evaluate(moving) == [], path


def test_every_control_of_a_page_is_reached_with_the_keyboard(visit):
    page = visit("/")
    wanted = """() => [...document.querySelectorAll(
            "a[href], button, input:not([type=hidden]), select, summary, [tabindex='0']"
        )].filter((each) => each.checkVisibility({ visibilityProperty: true })).length"""
    for path in ("/", "/s/KO", "/settings"):
        ready(page, path)
        count, seen = page.evaluate(wanted), set()
        for _ in range(count + PARTS_OF_A_DATE):
            page.keyboard.press("Tab")
            seen.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        assert len(seen - {-1}) >= count, path


def test_a_live_page_is_live_again_once_the_endpoint_is_back(copy_home, predicting, tmp_path_factory, browser):
    home = copy_home(tmp_path_factory.mktemp("back") / "home", dashboard_port=free_port(), port=free_port())
    with predicting(home.settings) as predictor, dashboard_process(home.settings):
        options = {"port": home.settings.port, "ws_ping_interval": None, "timeout_graceful_shutdown": 1}
        state = signed_in_at(home.settings, browser)
        with visiting_pages(home.settings, browser, state) as visit:
            with listening(build_app(predictor), "auto", **options):
                page = visit("/s/KO")
                page.locator("[data-live='state']:text-is('live')").wait_for()
            page.locator("[data-live='state']:text-is('not live')").wait_for()
            with listening(build_app(predictor), "auto", **options):
                page.locator("[data-live='state']:text-is('live')").wait_for()
                with Client.local(home.settings) as client:
                    made = client.predict("KO", 1)
                page.locator("[data-live='news']", has_text=f"{made.made_at:%H:%M:%S} UTC").wait_for()


@pytest.mark.parametrize("theme", THEMES)
def test_pages_look_as_they_did(visit, visit_away, visit_stale, theme):
    looks = ((visit, LOOKS), (visit_away, AWAY_LOOKS), (visit_stale, STALE_LOOKS))
    shots = [(opened, look) for opened, each in looks for look in each.items()]
    different = {}
    for opened, (name, path) in shots:
        page = opened("/", color_scheme=theme, viewport={"width": 1280, "height": 900}, may_fail=True)
        ready(page, path)
        different[name] = looks_different(page.screenshot(full_page=True), f"{name}-{theme}.png")
    assert {name: share for name, share in different.items() if share > MOST_DIFFERENT} == {}


def looks_different(picture, name):
    """Keep a picture, and return the share of its pixels that are others than in the one that was kept first."""
    shot, reference = SHOTS / name, SHOTS / "reference" / name
    reference.parent.mkdir(parents=True, exist_ok=True)
    shot.write_bytes(picture)
    if not reference.exists():
        shutil.copyfile(shot, reference)
    now, before = Image.open(shot).convert("L"), Image.open(reference).convert("L")
    assert len(now.getcolors(256)) > 16, "a page is no empty sheet"
    size = (max(now.width, before.width), max(now.height, before.height))
    apart = ImageChops.difference(_padded(now, size), _padded(before, size)).point(
        lambda step: step > DIFFERENT and 255
    )
    return apart.histogram()[255] / (size[0] * size[1])


def _padded(picture, size):
    made = Image.new("L", size)
    made.paste(picture)
    return made


def test_another_page_would_look_different():
    blank, drawn = Image.new("L", (10, 10), 255), Image.new("L", (10, 10), 0)
    assert ImageChops.difference(blank, drawn).point(lambda step: step > DIFFERENT and 255).histogram()[255] == 100
