"""One's own watch list in the dashboard: whose it is, who may change it, and what is said without the endpoint."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from serving.access import keys, watch_lists
from serving.api import BATCH_SYMBOLS
from serving.pages.app import build_dashboard
from serving.web.app import build_app
from support.dashboard import Page, log_in, visiting
from support.ports import free_port

FOREIGN = "http://127.0.0.1:4000"
NOBODY = 1_025
"""A port that no endpoint listens on."""
SIMULTANEOUS = 8
"""Follows that are sent at once."""
LISTED = "Symbols of the watch list"


@pytest.fixture(scope="module")
def settings(copy_home, predicting, served, tmp_path_factory):
    """Of a home behind a listening endpoint."""
    made = copy_home(tmp_path_factory.mktemp("followed") / "home", dashboard_port=free_port())
    with predicting(made.settings) as predictor, served(build_app(predictor)) as address:
        yield made.settings.model_copy(update={"port": int(address.rpartition(":")[2])})


@pytest.fixture
def app(settings):
    """A dashboard of its own for each test: five log-ins a minute come from one address."""
    return build_dashboard(settings)


@pytest.fixture
def reader(settings):
    """A key that may read, with its text."""
    return keys.create(settings, "reader", "read", "unlimited", by="tests")


@pytest.fixture
def visitor(app, settings, reader):
    with visiting(app, settings) as client:
        log_in(client, reader[1])
        yield client


def token_of(visitor):
    return Page(visitor.get("/about").text).all("input", name="form_token")[0]["value"]


def send(visitor, choice, symbol, headers=None, **others):
    form = {"form_token": token_of(visitor), "choice": choice, "symbol": symbol}
    return visitor.post("/watchlist", data=form | others, headers=headers)


def press(visitor, path):
    """Send the form of a page as a browser without JavaScript does."""
    found = Page(visitor.get(path).text)
    place = found.all("form", id="follow")[0]["place"]
    (button,) = found.all("button", name="choice")
    fields = [each for each in found.elements[place : button["place"]] if each["tag"] == "input"]
    answer = visitor.post("/watchlist", data={each["name"]: each["value"] for each in [*fields, button]})
    assert answer.status_code == 303, answer.text
    return button["text"], answer.headers["location"]


def followed(settings, key):
    return list(watch_lists.read(settings, key.id).symbols)


def main_of(visitor, path, status=200):
    answer = visitor.get(path)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def test_a_symbol_is_followed_on_its_page_listed_as_mine_and_followed_no_longer(visitor, settings, reader):
    assert "You follow no symbol." in main_of(visitor, "/?list=mine").text(id="main")
    path = "/s/KO?horizon=5&as_of=2012-12-14"
    assert press(visitor, path) == ("Follow", path)
    assert press(visitor, "/s/IBM") == ("Follow", "/s/IBM")
    assert followed(settings, reader[0]) == ["KO", "IBM"]
    assert [cells[0] for cells in main_of(visitor, "/?list=mine").rows(LISTED)] == ["IBM", "KO"]
    assert len(main_of(visitor, "/").rows(LISTED)) > 2
    assert press(visitor, "/s/KO") == ("Unfollow", "/s/KO")
    assert followed(settings, reader[0]) == ["IBM"]


def test_links_of_the_own_list_lead_to_the_own_list(visitor):
    send(visitor, "follow", "KO")
    found = main_of(visitor, "/?list=mine&as_of=2012-12-14&horizon=5&order=change")
    (step,) = found.all("a", rel="prev")
    assert step["href"] == "/?as_of=2012-12-13&horizon=5&list=mine&order=change"
    links = [link["href"] for link in found.all("a") if link.get("href", "").startswith("/?")]
    others = {link for link in links if "list=mine" not in link}
    assert others == {"/?as_of=2012-12-14&horizon=5", "/?as_of=2012-12-14&horizon=5&order=change"}  # menu and tab
    assert {each["name"]: each["value"] for each in found.all("input", type="hidden")}["list"] == "mine"


def test_a_symbol_is_followed_once(visitor, settings, reader):
    for symbol in ("KO", "IBM", "KO"):
        assert send(visitor, "follow", symbol).status_code == 303
    assert followed(settings, reader[0]) == ["KO", "IBM"]


def test_of_symbols_followed_at_once_none_is_lost(visitor, settings, reader):
    watch_lists.write(settings, reader[0].id, ["GE"])
    listed = visitor.get("/").text
    wanted = [cells[0] for cells in Page(listed).rows(LISTED) if cells[0] != "GE"][:SIMULTANEOUS]
    assert len(wanted) == SIMULTANEOUS
    form_token, together = token_of(visitor), Barrier(len(wanted) + 1)

    def press_at_once(choice, symbol):
        together.wait()
        return visitor.post("/watchlist", data={"form_token": form_token, "choice": choice, "symbol": symbol})

    with ThreadPoolExecutor(len(wanted) + 1) as pool:
        asked = [pool.submit(press_at_once, "follow", symbol) for symbol in wanted]
        asked.append(pool.submit(press_at_once, "unfollow", "GE"))
    assert [each.result().status_code for each in asked] == [303] * len(asked)
    assert sorted(followed(settings, reader[0])) == sorted(wanted)


@pytest.mark.parametrize(
    ("others", "headers"),
    [
        ({"form_token": ""}, None),
        ({"form_token": "0" * 43}, None),
        ({}, {"origin": FOREIGN}),
        ({}, {"origin": "null"}),
        ({}, {"sec-fetch-site": "cross-site"}),
    ],
    ids=str,
)
def test_a_form_of_another_session_or_origin_changes_nothing(visitor, settings, reader, others, headers):
    send(visitor, "follow", "IBM")
    for choice, symbol in (("follow", "KO"), ("unfollow", "IBM")):
        assert send(visitor, choice, symbol, headers, **others).status_code == 403
    assert followed(settings, reader[0]) == ["IBM"]


def test_a_stranger_is_led_to_the_login(app, settings):
    with visiting(app, settings) as stranger:
        answer = stranger.post("/watchlist", data={"choice": "follow", "symbol": "KO"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")


def test_the_list_of_another_key_is_neither_shown_nor_changed(visitor, app, settings):
    other, text = keys.create(settings, "other", "operator", "unlimited", by="tests")
    with visiting(app, settings) as another:
        log_in(another, text)
        send(another, "follow", "GE")
        assert send(visitor, "follow", "KO", form_token=token_of(another)).status_code == 403
    send(visitor, "follow", "KO")
    send(visitor, "unfollow", "GE")
    assert followed(settings, other) == ["GE"]
    assert [cells[0] for cells in main_of(visitor, "/?list=mine").rows(LISTED)] == ["KO"]


@pytest.mark.parametrize(
    ("choice", "symbol", "status", "told"),
    [("follow", "APPL", 404, "AAPL"), ("follow", "", 422, "at least 1 character"), ("forget", "KO", 404, "unfollow")],
)
def test_what_there_is_not_is_refused(visitor, settings, reader, choice, symbol, status, told):
    answer = send(visitor, choice, symbol)
    assert answer.status_code == status
    assert told in Page(answer.text).text(id="main")
    assert followed(settings, reader[0]) == []


def test_a_list_that_is_full_is_refused_as_the_endpoint_refuses_it(visitor, settings, reader):
    symbols = [f"X{n}" for n in range(BATCH_SYMBOLS)]
    watch_lists.write(settings, reader[0].id, symbols)
    answer = send(visitor, "follow", "KO")
    assert answer.status_code == 422
    said = Page(answer.text).text(id="main")
    assert "The change of your list is not confirmed" in said
    assert f"{BATCH_SYMBOLS + 1:,} symbols, and it holds {BATCH_SYMBOLS:,} at most" in said
    assert followed(settings, reader[0]) == symbols


def test_an_unknown_list_is_refused(visitor):
    assert "mine" in main_of(visitor, "/?list=yours", 404).text(id="main")


def test_without_the_endpoint_the_pages_say_so_and_nothing_is_changed(settings, reader):
    watch_lists.write(settings, reader[0].id, ["IBM"])
    alone = settings.model_copy(update={"port": NOBODY})
    with visiting(build_dashboard(alone), alone) as client:
        log_in(client, reader[1])
        mine = main_of(client, "/?list=mine").text(id="main")
        assert "Degraded. Your list is not known now: No service answers" in mine
        assert "You follow no symbol" not in mine
        assert "Whether you follow it is not known: No service answers" in main_of(client, "/s/KO").text(id="follow")
        refused = send(client, "follow", "KO")
    assert (refused.status_code, refused.headers["content-type"]) == (503, "text/html; charset=utf-8")
    assert "not confirmed" in refused.text
    assert "No service answers" in refused.text
    assert followed(settings, reader[0]) == ["IBM"]
