"""Settings of the dashboard: appearance, the own list, keys that are revoked, and sessions that are ended."""

import re

import pytest

from lake.settings import Settings
from serving.access import keys, local_key
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.pages.rendering import STATIC
from support.dashboard import Page, log_in, log_in_as_owner, visiting
from support.waiting import until

FOREIGN = "http://127.0.0.1:4000"
KEYS, SESSIONS = "API keys in force", "Sessions of your key"


@pytest.fixture
def home(settings: Settings) -> Settings:
    """An empty home: nothing here needs data."""
    return settings.model_copy(update={"dashboard_port": 3002})


@pytest.fixture
def app(home):
    return build_dashboard(home, Dashboard.open(home))


@pytest.fixture
def browser(app, home):
    """Make visitors, each with cookies of its own."""
    with visiting(app, home) as first, visiting(app, home) as second, visiting(app, home) as third:
        made = iter((first, second, third))
        yield lambda: next(made)


def key_of(home, role="read"):
    return keys.create(home, role, role, "unlimited", by="tests")


def page(visitor):
    answer = visitor.get("/settings")
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def token_of(visitor):
    return page(visitor).all("input", name="form_token")[0]["value"]


def send(visitor, path, headers=None, **fields):
    return visitor.post(path, data={"form_token": token_of(visitor)} | fields, headers=headers)


def test_a_reader_sees_the_own_key_alone_and_an_operator_every_one_in_force(home, browser):
    own, text = key_of(home)
    revoked, _ = key_of(home)
    keys.revoke(home, revoked.id, by="tests")
    reader, owner = browser(), browser()
    log_in(reader, text)
    (row,) = page(reader).rows(KEYS)
    assert row[:4] == [f"{own.id} yours", "read", "read", "unlimited"]
    log_in_as_owner(owner, home)
    listed = [cells[0] for cells in page(owner).rows(KEYS)]
    assert listed[0].endswith(" yours")
    assert listed[1:] == [own.id]
    for shown in (reader, owner):
        assert text not in shown.get("/settings").text
        assert own.digest not in shown.get("/settings").text


@pytest.mark.parametrize("shown", ["another reader's", "nobody's", "the operator's"])
def test_a_key_is_revoked_by_showing_that_very_key(home, browser, shown):
    own, text = key_of(home)
    reader = browser()
    log_in(reader, text)
    wrong = {"another reader's": key_of(home)[1], "nobody's": "ql_a_b", "the operator's": local_key(home)}[shown]
    assert send(reader, "/settings/keys", key_id=own.id, key=wrong).status_code == 403
    assert keys.find(home, own.id).revoked_at is None
    assert send(reader, "/settings/keys", key_id=own.id, key=text).status_code == 303
    assert until(lambda: reader.get("/settings").status_code == 303, seconds=10)


def test_others_keys_are_the_operators_to_revoke(home, browser):
    _, text = key_of(home)
    other, _ = key_of(home)
    reader, owner = browser(), browser()
    log_in(reader, text)
    assert send(reader, "/settings/keys", key_id=other.id, key=text).status_code == 403
    assert keys.find(home, other.id).revoked_at is None
    log_in_as_owner(owner, home)
    assert send(owner, "/settings/keys", key_id=other.id, key=local_key(home)).status_code == 303
    assert keys.find(home, other.id).revoked_at is not None
    assert reader.get("/settings").status_code == 200


def test_keys_are_shown_five_times_a_minute_at_most(home, browser):
    own, text = key_of(home)
    reader = browser()
    log_in(reader, text)
    answers = [send(reader, "/settings/keys", key_id=own.id, key="ql_a_b").status_code for _ in range(4)]
    assert answers == [403] * 4
    assert send(reader, "/settings/keys", key_id=own.id, key=text).status_code == 429
    assert keys.find(home, own.id).revoked_at is None


def test_the_other_browsers_of_the_key_are_logged_out_and_nobody_else(home, browser):
    _, text = key_of(home)
    one, two, owner = browser(), browser(), browser()
    log_in(one, text)
    log_in(two, text)
    log_in_as_owner(owner, home)
    assert sorted(cells[2] for cells in page(one).rows(SESSIONS)) == ["another", "this browser"]
    assert send(one, "/settings/sessions").status_code == 303
    assert [cells[2] for cells in page(one).rows(SESSIONS)] == ["this browser"]
    assert two.get("/settings").status_code == 303
    assert owner.get("/settings").status_code == 200


@pytest.mark.parametrize("path", ["/settings/sessions", "/settings/keys"])
def test_a_form_of_another_session_or_page_changes_nothing(home, browser, path):
    own, text = key_of(home)
    one, two = browser(), browser()
    log_in(one, text)
    log_in(two, text)
    fields = {"key_id": own.id, "key": text}
    assert one.post(path, data=fields | {"form_token": "0" * 43}).status_code == 403
    assert one.post(path, data=fields | {"form_token": token_of(two)}).status_code == 403
    assert send(one, path, {"origin": FOREIGN}, **fields).status_code == 403
    assert (one.get("/settings").status_code, two.get("/settings").status_code) == (200, 200)
    assert keys.find(home, own.id).revoked_at is None


def test_colours_are_kept_and_said_by_every_page(home, browser):
    visitor = browser()
    log_in_as_owner(visitor, home)
    assert Page(visitor.get("/about").text).all("html")[0]["data-colours"] == "blue-orange"
    answer = send(visitor, "/appearance", theme="dark", colours="green-red", next="/settings")
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings")
    for path in ("/settings", "/nothing"):
        (html,) = Page(visitor.get(path).text).all("html")
        assert (html["data-theme"], html["data-colours"]) == ("dark", "green-red")
    assert send(visitor, "/appearance", colours="pink").status_code == 404


@pytest.mark.parametrize("colours", ["green-red", "purple-green"])
def test_colours_are_the_same_whether_the_system_or_the_visitor_chose_dark(colours):
    styles = (STATIC / "dashboard.css").read_text("utf-8")
    found = {
        theme: re.findall(rf'data-theme="{theme}"\]\[data-colours="{colours}"\] {{ ([^}}]+) }}', styles)
        for theme in ("dark", "system")
    }
    assert found["dark"] == found["system"]
    assert len(found["dark"]) == 1


def test_without_the_endpoint_the_page_says_that_the_list_is_not_known(home, browser):
    visitor = browser()
    log_in_as_owner(visitor, home)
    assert "Your list is not known now" in page(visitor).text(id="main")
