"""New forecasts on the dashboard: a real endpoint stores them, a real dashboard tells of them over HTTP."""

import json
import socket
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from urllib.parse import quote

import pytest

from serving.access import keys, local_key
from serving.client import Client
from serving.pages.app import build_dashboard
from serving.pages.dashboard import Dashboard
from serving.pages.live import LiveForecasts, event_stream
from serving.pages.login import SessionCookie
from serving.predict import Question
from serving.web.app import build_app
from support.clients import listening
from support.dashboard import Page, browsing, following, log_in
from support.log import entries
from support.ports import free_port
from support.waiting import PATIENCE_SECONDS, until

LIVE, NOT_LIVE = ("state", "", "live"), ("state", "", "not live")
DRAIN_SECONDS = 1
SEND_BYTES = 4_096


@pytest.fixture(scope="module")
def predictor(copy_home, predicting, tmp_path_factory):
    """Forecasts of a home whose endpoint may be stopped and started."""
    home = copy_home(tmp_path_factory.mktemp("live") / "home", dashboard_port=free_port())
    with predicting(home.settings) as made:
        yield made


@pytest.fixture(scope="module")
def settings(predictor):
    return predictor.logged.configured


def endpoint(predictor):
    """Serve the endpoint at the port of its home while a block lasts."""
    options = {"ws_ping_interval": None, "timeout_graceful_shutdown": DRAIN_SECONDS}
    return listening(build_app(predictor), "auto", port=predictor.logged.configured.port, **options)


@contextmanager
def dashboard(settings, **bounds):
    """Serve the dashboard of a home; gives what its pages read."""
    opened = Dashboard.open(settings)
    opened = replace(opened, live=LiveForecasts(partial(Client.local, settings, attempts=1), **bounds))
    app = build_dashboard(settings, opened)
    options = {"send_bytes": SEND_BYTES, "timeout_graceful_shutdown": DRAIN_SECONDS}
    with listening(app, "auto", port=settings.dashboard_port, **options):
        yield opened


@pytest.fixture
def visitor(settings):
    with browsing(settings) as client:
        yield client


@pytest.fixture
def reader(settings, visitor):
    """A visitor who is logged in with a key that may only read."""

    def opened():
        _, text = keys.create(settings, "reader", "read", "unlimited", by="tests")
        log_in(visitor, text)
        return visitor

    return opened


@pytest.fixture(scope="module")
def template(predictor):
    """A real answer, to be stored again and again under other names."""
    (answers,) = predictor.compute([Question(["AAPL"], 1)])
    return answers.entries[0]


def store(predictor, *asked):
    """Store forecasts one after the other and return their ids."""
    return [predictor.predict([symbol], horizon).entries[0].row["forecast_id"] for symbol, horizon in asked]


def test_forecasts_are_told_of_in_the_order_in_which_they_were_stored(predictor, settings, reader):
    with endpoint(predictor), dashboard(settings), following(reader(), "symbols=AAPL,KO&horizon=1") as events:
        assert next(events) == LIVE
        made = store(predictor, ("KO", 1), ("IBM", 1), ("AAPL", 5), ("AAPL", 1), ("KO", 1))
        heard = list(islice(events, 3))
    assert [event.id for event in heard] == [made[0], made[3], made[4]]
    assert {event.name for event in heard} == {"forecast"}
    assert json.loads(heard[1].data)["said"].startswith("new forecast of AAPL, ")


def test_the_link_of_an_event_shows_the_very_forecast(predictor, settings, reader):
    with endpoint(predictor), dashboard(settings):
        client = reader()
        with following(client, "symbols=KO") as events:
            assert next(events) == LIVE
            (identifier,) = store(predictor, ("KO", 1))
            told = json.loads(next(events).data)
        page = Page(client.get(told["receipt"]).text)
    assert page.text(id="receipt-id") == identifier
    assert page.all("section", **{"aria-labelledby": "r-forecast"})


@pytest.mark.parametrize("how", ["header", "query"])
def test_a_page_that_comes_back_is_told_what_it_missed(predictor, settings, reader, how):
    with endpoint(predictor), dashboard(settings):
        client = reader()
        with following(client, "symbols=KO") as first, following(client, "symbols=KO,IBM") as second:
            assert (next(first), next(second)) == (LIVE, LIVE)
            made = store(predictor, ("KO", 1), ("IBM", 1), ("KO", 1), ("KO", 1))
            assert next(first).id == made[0]
            assert [event.id for event in islice(second, 4)] == made
        header, query = ({"last-event-id": made[0]}, "") if how == "header" else ({}, f"&after={made[0]}")
        with following(client, f"symbols=KO{query}", **header) as again:
            assert next(again) == LIVE
            assert [event.id for event in islice(again, 2)] == made[2:]
        with following(client, "symbols=KO", **{"last-event-id": "unknown"}) as anew:
            assert next(anew) == LIVE
            (newest,) = store(predictor, ("KO", 1))
            assert next(anew).id == newest


@pytest.mark.parametrize("how", ["its key is revoked", "it logs out"])
def test_a_stream_ends_with_its_session(predictor, settings, visitor, monkeypatch, how):
    monkeypatch.setattr(event_stream, "HEARTBEAT_LOOKS", 1_000_000)  # a stream that outlives its session is silent
    key, text = keys.create(settings, "reader", "read", "unlimited", by="tests")
    with endpoint(predictor), dashboard(settings) as opened, browsing(settings) as other:
        log_in(visitor, text)
        log_in(other, local_key(settings))
        with following(visitor, "symbols=KO") as events, following(other, "symbols=KO") as others:
            assert (next(events), next(others)) == (LIVE, LIVE)
            if how == "it logs out":
                token = Page(visitor.get("/about").text).all("input", name="form_token")[0]["value"]
                visitor.post("/logout", data={"form_token": token})
            else:
                keys.revoke(settings, key.id, by="tests")
            assert list(events) == []
            made = store(predictor, ("KO", 1))
            assert [event.id for event in islice(others, 1)] == made
        until(lambda: len(opened.live) == 0, "a stream that ended is still told")


def test_an_endpoint_that_comes_back_is_followed_again(predictor, settings, reader):
    with dashboard(settings), following(reader(), "symbols=KO") as events:
        assert next(events) == NOT_LIVE
        for _ in range(2):
            with endpoint(predictor):
                assert next(events) == LIVE
                (made,) = store(predictor, ("KO", 1))
                assert next(events).id == made
            assert next(events) == NOT_LIVE


def test_the_slow_are_dropped_and_the_others_go_on(predictor, settings, template, visitor):
    with endpoint(predictor), dashboard(settings, waiting=200) as opened:
        log_in(visitor, local_key(settings))
        with following(visitor, "symbols=AAPL") as quick, socket.socket() as slow:
            assert next(quick) == LIVE
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SEND_BYTES)
            slow.settimeout(PATIENCE_SECONDS)
            slow.connect(("127.0.0.1", settings.dashboard_port))
            slow.sendall(_request(visitor, settings, "/stream?symbols=AAPL"))
            until(lambda: len(opened.live) == 2, "the slow reader did not join")
            heard = 0
            while len(opened.live) == 2:
                predictor.log.write(entries(template, "AAPL", [1] * 100))
                heard += len(list(islice(quick, 100)))
                assert heard < 20_000
            read = b"".join(iter(lambda: slow.recv(65_536), b""))
            assert read.count(b"event: forecast") < heard
            predictor.log.write(last := entries(template, "AAPL", [1]))
            assert next(quick).id == last[0].row["forecast_id"]


def _request(client, settings, path):
    """Request of a visitor's session as bytes."""
    name = SessionCookie.of(settings).name
    cookie = next(cookie.value for cookie in client.cookies.jar if cookie.name == name)
    head = (f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{settings.dashboard_port}", f"cookie: {name}={cookie}")
    return "\r\n".join((*head, "connection: close", "", "")).encode()


def test_one_page_too_many_is_told_so_and_may_come_once_another_has_left(predictor, settings, reader):
    with endpoint(predictor), dashboard(settings, readers=1) as opened:
        client = reader()
        with following(client, "symbols=KO") as events:
            assert next(events) == LIVE
            refused = client.get("/stream?symbols=KO")
            assert refused.status_code == 503
            assert "Close some" in refused.text
        until(lambda: not opened.live.is_full, "a page that left still counts")
        with following(client, "symbols=KO") as events:
            assert next(events) == LIVE


def test_open_pages_are_counted_until_they_leave(predictor, settings, reader):
    def shown():
        return "quantlake_page_streams 1.0\n" in visitor.get("/metrics").text

    with endpoint(predictor), dashboard(settings):
        visitor = reader()
        with following(visitor, "symbols=KO") as events:
            assert next(events) == LIVE
            assert shown()
        until(lambda: not shown(), "a page that left is still counted")


def test_a_silent_stream_has_heartbeats(predictor, settings, reader, monkeypatch):
    monkeypatch.setattr(event_stream, "HEARTBEAT_LOOKS", 1)
    with endpoint(predictor), dashboard(settings), following(reader(), "symbols=KO") as events:
        awaited = {LIVE, ("comment", "", "heartbeat")}  # in any order: the endpoint may take longer than a look
        while awaited:
            awaited.discard(tuple(next(events)))


@pytest.mark.parametrize("symbols", ["", ",", ",".join(map(str, range(501)))], ids=["none", "empty", "too many"])
def test_a_stream_of_no_symbols_or_too_many_is_refused(settings, reader, symbols):
    with dashboard(settings) as opened:
        assert reader().get(f"/stream?symbols={symbols}").status_code == 400
        assert len(opened.live) == 0


def test_only_a_live_page_names_a_stream_and_it_is_one_that_the_dashboard_has(settings, reader):
    with dashboard(settings) as opened:
        client = reader()
        for path, symbols in (("/", "AAPL"), ("/s/KO", "KO"), ("/s/KO?horizon=5", "KO")):
            (place,) = [each for each in Page(client.get(path).text).elements if "data-stream" in each]
            assert quote(symbols) in place["data-stream"]
            assert ("horizon=5" in place["data-stream"]) is ("horizon=5" in path)
            assert client.head(place["data-stream"]).status_code == 200
            back = Page(client.get(f"{path}{'&' if '?' in path else '?'}as_of=2012-12-28").text)
            assert not [each for each in back.elements if "data-stream" in each or "live.js" in each.get("src", "")]
        assert len(opened.live) == 0
