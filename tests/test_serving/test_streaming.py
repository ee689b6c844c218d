"""The WebSocket over a real server and a real log: once, in order; the slow are dropped with a reason."""

import asyncio
import json
import threading
from datetime import UTC, datetime

import pytest
import websockets
from websockets.sync.client import connect

from lake.settings import Settings
from serving.api import Acknowledged, PredictionUpdate, Refused, outlook_of
from serving.forecast_log import ForecastLog, LogEntry, LogTail
from serving.predict import Question
from serving.web import streaming
from serving.web.app import build_app
from serving.web.routes import streams
from serving.web.routes.streams import MESSAGE_BYTES, PATH, TOO_BIG, TOO_SLOW, TRY_LATER
from serving.web.streaming import Hub, Subscriber
from support.clients import token_of
from support.log import entries

WAIT_SECONDS = 120.0


@pytest.fixture(scope="module")
def away(home, tmp_path_factory):
    """The home's models and features, with a forecast log of its own."""
    return home.settings.model_copy(update={"home": tmp_path_factory.mktemp("streams")})


@pytest.fixture(scope="module")
def predictor(predicting, away):
    with predicting(away) as made:
        yield made


@pytest.fixture(scope="module")
def address(predictor, served):
    with served(build_app(predictor)) as at:
        yield stream(at, predictor)


def stream(address, predictor):
    token = token_of(predictor.logged.configured)
    return f"ws{address.removeprefix('http')}{PATH}?token={token}"


def hear(client):
    return json.loads(client.recv(timeout=WAIT_SECONDS))


def hear_all(client):
    while True:
        hear(client)


def say(client, action, *symbols):
    client.send(json.dumps({"action": action} | ({"symbols": list(symbols)} if symbols else {})))
    return hear(client)


@pytest.fixture(scope="module")
def template(predictor):
    """A real answer, to be stored again and again under other names."""
    (answers,) = predictor.compute([Question(["AAPL"], 1)])
    return answers.entries[0]


def test_a_forecast_that_is_stored_is_heard_of_once(address, predictor):
    with connect(address) as client:
        said = Acknowledged.model_validate(say(client, "subscribe", "AAPL", "KO"))
        assert (said.action, said.symbols) == ("subscribe", 2)
        predictor.predict(["GE", "AAPL"], 5)
        heard = PredictionUpdate.model_validate(hear(client)).prediction
        assert (heard.symbol, heard.prediction.horizon_sessions) == ("AAPL", 5)
        assert heard.prediction.outlook == outlook_of(heard.prediction.direction, heard.prediction.confidence)
        assert heard.model_dump_json() == predictor.logged.get(heard.prediction_id).answer
        assert say(client, "ping")["event"] == "acknowledged"  # nothing came in between


def test_updates_come_in_the_order_in_which_they_were_stored_each_once(address, predictor, template):
    with connect(address) as first, connect(address) as second:
        say(first, "subscribe", "AAPL")
        say(second, "subscribe", "AAPL", "KO")
        writers = [
            threading.Thread(
                target=lambda s=symbol: [
                    predictor.log.write(entries(template, s, [number])) for number in range(1, 101)
                ]
            )
            for symbol in ("AAPL", "KO")
        ]
        for writer in writers:
            writer.start()
        heard = {client: [hear(client)["prediction"] for _ in range(n)] for client, n in ((first, 100), (second, 200))}
        for writer in writers:
            writer.join()
        for client, symbols in ((first, {"AAPL"}), (second, {"AAPL", "KO"})):
            for symbol in symbols:
                mine = [p["prediction"]["horizon_sessions"] for p in heard[client] if p["symbol"] == symbol]
                assert mine == list(range(1, 101))
            assert say(client, "ping")["action"] == "ping"


def test_forecasts_of_another_process_are_heard_of_too(address, away, template):
    with connect(address) as client:
        say(client, "subscribe", "XOM")
        other = ForecastLog.open(away)
        other.write(entries(template, "XOM", [1, 2], kind="scheduled"))
        assert [hear(client)["prediction"]["prediction"]["horizon_sessions"] for _ in range(2)] == [1, 2]
        other.close()


def test_whoever_gives_up_a_symbol_or_is_a_challenger_is_not_heard(address, predictor, template):
    with connect(address) as client:
        assert say(client, "subscribe", "AAPL", "KO")["symbols"] == 2
        assert say(client, "unsubscribe", "AAPL")["symbols"] == 1
        shadow = entries(template, "KO", [7], kind="shadow")
        predictor.log.write([*entries(template, "AAPL", [8]), *shadow, *entries(template, "KO", [9])])
        assert hear(client)["prediction"]["prediction"]["horizon_sessions"] == 9
        assert say(client, "ping")["symbols"] == 1


@pytest.mark.parametrize(
    ("message", "slug", "detail"),
    [
        ("", "invalid-request", "not JSON"),
        ("{", "invalid-request", "not JSON"),
        ("[]", "invalid-request", "object"),
        ("NaN", "invalid-request", "object"),
        ('{"action": "dance"}', "invalid-request", "dance"),
        ('{"action": "subscribe"}', "invalid-request", "symbols"),
        ('{"action": "subscribe", "symbols": []}', "invalid-request", "symbols"),
        ('{"action": "subscribe", "symbols": [1]}', "invalid-request", "symbols"),
        ('{"action": "subscribe", "symbols": "AAPL"}', "invalid-request", "symbols"),
        ('{"action": "subscribe", "symbols": ["AAPL"], "more": 1}', "invalid-request", "more"),
        ('{"action": "subscribe", "symbols": ["APPL"]}', "unknown-symbol", "APPL"),
    ],
)
def test_an_odd_command_is_a_problem_and_the_connection_stays(address, message, slug, detail):
    with connect(address) as client:
        client.send(message)
        problem = Refused.model_validate(hear(client)).problem
        assert problem.type.endswith(slug)
        assert detail in problem.detail
        assert slug != "unknown-symbol" or problem.nearest[0] == "AAPL"
        assert say(client, "ping")["symbols"] == 0


def test_a_message_in_bytes_is_refused_and_one_over_the_bound_ends_the_connection(address):
    with connect(address) as client:
        client.send(b"\xff\xfe")
        assert hear(client)["event"] == "error"
        client.send("x" * (MESSAGE_BYTES + 1))
        with pytest.raises(websockets.ConnectionClosed) as ended:
            hear(client)
        assert ended.value.rcvd.code == TOO_BIG


def test_the_slow_are_dropped_with_a_reason_and_the_others_go_on(predictor, template, served):
    app = build_app(predictor)
    app.state.hub = Hub(predictor.logged.configured, queue_messages=200)
    with served(app) as at, connect(stream(at, predictor), compression=None) as quick:
        with connect(stream(at, predictor), compression=None, max_queue=1) as slow:
            say(quick, "subscribe", "AAPL")
            say(slow, "subscribe", "AAPL")
            heard = 0
            while not slow_is_gone(app):
                predictor.log.write(entries(template, "AAPL", [1] * 100))
                heard += len([hear(quick) for _ in range(100)])
                assert heard < 100_000
            with pytest.raises(websockets.ConnectionClosed) as ended:
                hear_all(slow)
        assert ended.value.rcvd.code == TOO_SLOW
        assert "200 updates" in ended.value.rcvd.reason
        assert say(quick, "ping")["symbols"] == 1


def slow_is_gone(app):
    return any(subscriber.is_slow for subscriber in app.state.hub._open) or len(app.state.hub) == 1


def test_one_connection_too_many_is_told_to_come_later(predictor, served):
    app = build_app(predictor)
    app.state.hub = Hub(predictor.logged.configured, connections=1)
    with served(app) as at, connect(stream(at, predictor)) as first:
        say(first, "ping")
        with connect(stream(at, predictor)) as second, pytest.raises(websockets.ConnectionClosed) as ended:
            hear(second)
        assert ended.value.rcvd.code == TRY_LATER


def test_a_hub_that_everyone_left_lets_go_of_the_log(away):
    async def listen():
        hub = Hub(away)
        for _ in range(3):
            subscriber = hub.join()
            await hub.subscribe(subscriber, ["AAPL"])
            following = hub._following
            hub.leave(subscriber)
            await asyncio.wait_for(following, WAIT_SECONDS)
        assert (len(hub), hub._following, hub._by_symbol) == (0, None, {})

    asyncio.run(listen())


class Forgetful(LogTail):
    """A reader of the log that does not remember how far it has read."""

    def read(self):
        found = super().read()
        self._changed.clear()
        self._read_up_to = dict.fromkeys(self._read_up_to, 0)
        return found


@pytest.mark.parametrize(("tail", "times"), [(LogTail, 1), (Forgetful, 3)])
def test_only_a_reader_that_remembers_tells_once(tmp_path, monkeypatch, tail, times):
    """The second is the mutant of the tests of order and number."""
    monkeypatch.setattr(streaming, "LogTail", tail)
    settings = Settings(home=tmp_path)
    said = {"forecast_id": "a", "symbol": "KO", "horizon_sessions": 1, "kind": "served", "made_at": datetime.now(UTC)}
    heard, last = [], '{"is":"last"}'

    async def listen(log):
        enough, ended = asyncio.Event(), asyncio.Event()

        async def hear(text):
            heard.append(text)
            if len(heard) >= times:
                enough.set()
            if last in text:
                ended.set()

        hub = Hub(settings)
        subscriber = hub.join()
        await hub.subscribe(subscriber, ["KO"])
        sending = asyncio.create_task(subscriber.send_all(hear))
        log.write([LogEntry(said, "{}")])
        await asyncio.wait_for(enough.wait(), WAIT_SECONDS)
        log.write([LogEntry(said | {"forecast_id": "b"}, last)])  # whatever else is told is told before it
        await asyncio.wait_for(ended.wait(), WAIT_SECONDS)
        sending.cancel()
        following = hub._following
        hub.leave(subscriber)
        await following

    log = ForecastLog.open(settings)
    asyncio.run(listen(log))
    log.close()
    is_last = [last in text for text in heard]
    assert is_last == [False, True] if tail is LogTail else is_last.count(False) >= times


def test_a_queue_without_a_bound_would_wait_for_the_slow():
    """The mutant of the test of the slow: with no bound nobody is ever dropped."""

    async def fill(limit):
        subscriber = Subscriber(limit)
        for number in range(5_000):
            subscriber.put(str(number))
        return subscriber.is_slow

    assert asyncio.run(fill(200))
    assert not asyncio.run(fill(10**9))


def test_who_listens_to_every_symbol_is_not_slow_when_all_of_them_come_at_once():
    async def burst(count):
        subscriber = Subscriber()
        subscriber.symbols = {str(number) for number in range(count)}
        for number in range(3 * count):
            subscriber.put(str(number))
        return subscriber.is_slow

    assert not asyncio.run(burst(5_000))


def test_the_bound_on_messages_lets_the_largest_subscription_through():
    assert len(json.dumps({"action": "unsubscribe", "symbols": ["A" * 32] * 5_000})) < streams.MESSAGE_BYTES
