"""Light or dark, as a visitor chose it: every page says it, and only a form of their own pages changes it."""

import re

import pytest

from lake.settings import Settings
from serving.pages.app import build_dashboard
from serving.pages.rendering import STATIC
from support.dashboard import Page, log_in_as_owner, visiting

FOREIGN = "http://127.0.0.1:4000"
PALETTE = re.compile(r':root\[data-theme="(system|dark)"\] \{([^}]*)\}')


@pytest.fixture
def home(settings: Settings) -> Settings:
    """An empty home: nothing here needs data."""
    return settings.model_copy(update={"dashboard_port": 3002})


@pytest.fixture
def visitor(home):
    with visiting(build_dashboard(home), home) as client:
        log_in_as_owner(client, home)
        yield client


def choose(visitor, theme, **others):
    token = Page(visitor.get("/about").text).all("input", name="form_token")[0]["value"]
    return visitor.post("/appearance", data={"form_token": token, "theme": theme} | others)


def theme_of(answer):
    (html,) = Page(answer.text).all("html")
    return html["data-theme"]


def test_a_theme_is_said_by_every_page_from_then_on_errors_and_the_login_among_them(visitor):
    assert theme_of(visitor.get("/about")) == "system"
    answer = choose(visitor, "dark", next="/about?horizon=5")
    assert (answer.status_code, answer.headers["location"]) == (303, "/about?horizon=5")
    shown = Page(visitor.get("/about").text)
    assert [option["text"] for option in shown.all("option") if "selected" in option] == ["dark"]
    assert shown.all("meta", name="color-scheme")[0]["content"] == "dark"
    pages = {path: theme_of(visitor.get(path)) for path in ("/", "/about", "/nothing", "/?as_of=no")}
    del visitor.cookies["quantlake-dashboard-3002"]
    pages["/login"] = theme_of(visitor.get("/login"))
    assert set(pages.values()) == {"dark"}, pages


def test_the_cookie_holds_the_theme_alone_and_goes_to_no_other_site(visitor):
    (cookie,) = choose(visitor, "light").headers.get_list("set-cookie")
    value, *attributes = cookie.lower().split("; ")
    assert value == "quantlake-theme=light"
    assert {"samesite=strict", "path=/", "httponly"} <= set(attributes)
    assert not [each for each in attributes if each.startswith("domain")]


@pytest.mark.parametrize("value", ["pink", "", "dark><script>alert(1)</script>", "DARK"])
def test_a_cookie_that_holds_anything_else_is_as_none(visitor, value):
    visitor.cookies.set("quantlake-theme", value, domain="127.0.0.1")
    answer = visitor.get("/about")
    assert theme_of(answer) == "system"
    assert "<script>alert" not in answer.text


def test_a_form_of_another_session_a_page_of_another_origin_and_a_stranger_change_nothing(visitor):
    answers = [
        visitor.post("/appearance", data={"theme": "dark"}),
        choose(visitor, "dark", form_token="0" * 43),
        visitor.post("/appearance", data={"theme": "dark"}, headers={"origin": FOREIGN}),
    ]
    visitor.cookies.clear()
    answers.append(visitor.post("/appearance", data={"theme": "dark"}))
    assert [answer.status_code for answer in answers] == [403, 403, 403, 303]
    assert answers[-1].headers["location"] == "/login"
    assert [answer for answer in answers if "set-cookie" in answer.headers] == []


def test_an_unknown_theme_is_refused_and_a_choice_leads_to_no_other_site(visitor):
    assert choose(visitor, "pink").status_code == 404
    assert choose(visitor, "dark", next="//evil.example").headers["location"] == "/"


def test_dark_is_the_same_whether_the_system_or_the_visitor_chose_it():
    found = PALETTE.findall((STATIC / "dashboard.css").read_text("utf-8"))
    palettes = {theme: dict(re.findall(r"(--[\w-]+): ([^;]+);", text)) for theme, text in found}
    assert palettes["system"] == palettes["dark"]
    assert len(palettes["dark"]) > 10
