"""Micro-batching over the real predictor, models, Redis and log."""

import asyncio
import dataclasses
import threading

import httpx
import pytest

from feature_repo.online import OnlineReader
from lake.errors import LogError, ModelError, NotReadyError, OverloadedError, UnknownNameError
from lake.settings import Settings
from lake.universe import SYMBOLS
from serving.deployment import Champions
from serving.deployment.record import Deployment, write_deployment
from serving.forecast_log import ForecastLog, LogReader
from serving.predict import LARGE_ROWS, Batcher, Predictor, Question
from serving.web.app import LARGE_QUESTIONS, build_app
from serving.web.routes.forecasts import LARGE_WAITING
from serving.web.routes.status import READINESS_SECONDS
from support.clients import headers_of
from support.waiting import PATIENCE_SECONDS, VirtualClock, until_async


class Gate:
    """The real online store behind a gate: what arrives while it is shut has to wait."""

    def __init__(self, reader):
        self._reader = reader
        self.is_open, self.asked = threading.Event(), []
        self.is_open.set()

    def symbols(self):
        return self._reader.symbols()

    def assigned_symbols(self):
        return self._reader.assigned_symbols()

    def read(self, symbols):
        self.asked.append(list(symbols))
        assert self.is_open.wait(PATIENCE_SECONDS)
        return self._reader.read(symbols)


@pytest.fixture(scope="module")
def reader(home):
    return OnlineReader(home.settings)


@pytest.fixture
def gate(reader):
    return Gate(reader)


@pytest.fixture
def predictor(home, gate, tmp_path):
    own = Settings(home=tmp_path)
    log = ForecastLog.open(own)
    yield Predictor(gate, Champions(home.settings), log, LogReader(own), home.clock)
    log.close()


async def until_asked(gate):
    await until_async(lambda: gate.asked)


def ask_together(batcher, gate, questions):
    """Let one question be computed while the others arrive; outcomes of the others."""

    async def ask():
        gate.is_open.clear()
        gate.asked.clear()
        first = asyncio.create_task(batcher.ask(Question(["IBM"], 1)))
        await until_asked(gate)
        others = [asyncio.create_task(batcher.ask(question)) for question in questions]
        await asyncio.sleep(0)
        gate.is_open.set()
        await first
        return await asyncio.gather(*others, return_exceptions=True)

    return asyncio.run(ask())


def test_a_lone_question_is_answered_at_once_and_is_in_the_log(predictor, gate):
    answers = asyncio.run(Batcher(predictor).ask(Question(["AAPL"], 1)))
    assert gate.asked == [["AAPL"]]
    stored = predictor.logged.newest("AAPL", 1)
    assert stored.answer == answers.texts[0]


def test_what_waits_is_read_and_computed_together_and_answered_apart(predictor, gate):
    questions = [Question([symbol], horizon) for symbol in SYMBOLS[:10] for horizon in (1, 5)]
    outcomes = ask_together(Batcher(predictor), gate, questions)
    assert [sorted(asked) for asked in gate.asked[1:]] == [sorted(SYMBOLS[:10])]
    for question, answers in zip(questions, outcomes, strict=True):
        assert [entry.row["symbol"] for entry in answers.entries] == list(question.symbols)
        assert {entry.row["horizon_sessions"] for entry in answers.entries} == {question.horizon}
    assert predictor.logged.count() == len(questions) + 1


def test_a_batch_answers_like_single_questions_to_the_last_bit(predictor, gate):
    questions = [Question([symbol], 5) for symbol in SYMBOLS]
    together = ask_together(Batcher(predictor), gate, questions)
    numbers = ("p10", "p50", "p90", "feature_hash", "model_digest")
    for question, answers in zip(questions, together, strict=True):
        (alone,) = predictor.answer(question).entries
        assert [answers.entries[0].row[n] for n in numbers] == [alone.row[n] for n in numbers]


def test_a_batch_never_holds_more_than_it_may(predictor, gate):
    ask_together(Batcher(predictor, rows=4), gate, [Question([symbol], 1) for symbol in SYMBOLS[:10]])
    assert [len(asked) for asked in gate.asked] == [1, 4, 4, 2]


def test_what_is_wrong_with_one_question_does_not_touch_the_others(predictor, gate):
    outcomes = ask_together(
        Batcher(predictor),
        gate,
        [Question(["AAPL"], 1), Question(["NOPE"], 1), Question(["KO"], 17), Question(["GE"], 5)],
    )
    kinds = [type(outcome).__name__ for outcome in outcomes]
    assert kinds == ["Answers", "UnknownNameError", "UnknownNameError", "Answers"]
    assert (outcomes[1].kind, outcomes[2].kind) == ("symbol", "horizon")
    assert predictor.logged.count() == 3


def test_a_model_that_fails_for_one_symbol_fails_for_that_one_alone(predictor, gate, reader):
    class Spoilt(Gate):
        def read(self, symbols):
            batch = super().read(symbols)
            window = batch.window.copy()
            for place, symbol in enumerate(batch.symbols):
                if symbol == "KO":
                    window[place, :, :] = float("inf")
            return dataclasses.replace(batch, window=window)

    spoilt = Spoilt(reader)
    predictor.online = spoilt
    outcomes = ask_together(Batcher(predictor), spoilt, [Question([s], 1) for s in ("AAPL", "KO", "GE")])
    assert isinstance(outcomes[1], ModelError)
    assert [entry.row["symbol"] for n in (0, 2) for entry in outcomes[n].entries] == ["AAPL", "GE"]


def test_nothing_is_answered_that_could_not_be_logged(predictor):
    predictor.log.close()
    full = Settings(home=predictor.log.path.parent / "full")
    log = ForecastLog.open(full)
    predictor.log = log
    from serving.forecast_log import open_log

    with open_log(log.path) as breaking:
        breaking.execute("DROP TABLE forecasts")
    with pytest.raises(LogError, match="No answer was sent"):
        asyncio.run(Batcher(predictor).ask(Question(["AAPL"], 1)))


def test_a_question_that_would_wait_too_long_is_refused_at_once_and_the_next_lone_one_is_not(predictor, gate):
    batcher = Batcher(predictor, rows=1, queue_ms=1.0)
    asyncio.run(batcher.ask(Question(["AAPL"], 1)))
    assert batcher.expected_seconds == 0.0
    refused = ask_together(batcher, gate, [Question(["KO"], 1), Question(["GE"], 1)])
    assert [type(each) for each in refused] == [OverloadedError] * 2
    assert "Ask again a little later" in str(refused[0])
    assert len(asyncio.run(batcher.ask(Question(["GE"], 1))).entries) == 1


def test_a_caller_that_goes_away_does_not_stop_the_others(predictor, gate):
    batcher = Batcher(predictor)

    async def leave():
        gate.is_open.clear()
        leaving = asyncio.create_task(batcher.ask(Question(["AAPL"], 1)))
        staying = asyncio.create_task(batcher.ask(Question(["KO"], 1)))
        await until_asked(gate)
        leaving.cancel()
        gate.is_open.set()
        return await staying

    assert len(asyncio.run(leave()).entries) == 1


def test_closing_answers_what_waits(predictor):
    batcher = Batcher(predictor)

    async def close():
        waiting = [asyncio.create_task(batcher.ask(Question([symbol], 1))) for symbol in SYMBOLS[:5]]
        await asyncio.sleep(0)
        await asyncio.to_thread(batcher.close)
        return await asyncio.gather(*waiting)

    assert len(asyncio.run(close())) == 5


def test_states_without_forecast_are_told_as_they_are(predictor, gate, reader):
    class Unassigned(Gate):
        def read(self, symbols):
            batch = super().read(symbols)
            return dataclasses.replace(batch, selected_strategy=[None] * len(batch))

    predictor.online = Unassigned(reader)
    with pytest.raises(NotReadyError, match="No strategy has been selected"):
        asyncio.run(Batcher(predictor).ask(Question(["AAPL"], 1)))
    predictor.online = gate
    with pytest.raises(UnknownNameError):
        asyncio.run(Batcher(predictor).ask(Question(["NOPE"], 1)))


def test_whatever_happens_beside_an_answer_the_next_question_is_answered(predictor):
    batcher = Batcher(predictor)

    def stumble(_):
        raise RuntimeError("no collector")

    async def ask():
        first = await asyncio.gather(batcher.ask(Question(["NOPE"], 1, follow=stumble)), return_exceptions=True)
        return first, await batcher.ask(Question(["AAPL"], 1))

    (unknown,), answered = asyncio.run(ask())
    assert isinstance(unknown, UnknownNameError)
    assert len(answered.entries) == 1


def test_a_forecast_that_does_not_hold_together_is_not_given_and_touches_nobody_else(predictor, reader):
    class Worthless(Gate):
        def read(self, symbols):
            batch = super().read(symbols)
            prices = [
                -1.0 if s == "KO" else price for s, price in zip(batch.symbols, batch.reference_price, strict=True)
            ]
            return dataclasses.replace(batch, reference_price=prices)

    worthless = Worthless(reader)
    predictor.online = worthless
    outcomes = ask_together(Batcher(predictor), worthless, [Question([s], 1) for s in ("AAPL", "KO", "GE")])
    assert [type(outcome).__name__ for outcome in outcomes] == ["Answers", "EngineError", "Answers"]
    assert predictor.logged.count() == 3


def test_a_deployment_without_a_champion_is_no_service_and_says_so(tmp_path):
    settings = Settings(home=tmp_path)
    write_deployment(settings, Deployment(champions={}))
    with pytest.raises(ModelError, match="No model is in service"):
        Champions(settings).current()


def asking(predictor):
    """Return a client of the whole application, in the loop that runs."""
    app = httpx.ASGITransport(build_app(predictor), raise_app_exceptions=False)
    return httpx.AsyncClient(
        transport=app, base_url="http://127.0.0.1", timeout=120, headers=headers_of(predictor.logged.configured)
    )


def test_large_questions_that_would_wait_for_too_many_others_are_refused(predictor, gate):
    body = {"symbols": [f"NO{n}" for n in range(LARGE_ROWS + 1)], "horizon_sessions": 1}
    taken = LARGE_QUESTIONS + LARGE_WAITING

    async def run():
        async with asking(predictor) as client:
            gate.is_open.clear()
            asked = [asyncio.create_task(client.post("/api/v1/public/predict/batch", json=body)) for _ in range(20)]
            await until_async(lambda: sum(one.done() for one in asked) == len(asked) - taken)
            refused = [one.result() for one in asked if one.done()]
            gate.is_open.set()
            return refused, [one.status_code for one in await asyncio.gather(*asked)]

    refused, statuses = asyncio.run(run())
    assert {(one.status_code, one.json()["type"]) for one in refused} == {(503, "/problems/overloaded")}
    assert all(one.headers["retry-after"] for one in refused)
    assert sorted(statuses) == [404] * taken + [503] * (20 - taken), "whoever was taken is answered"


def test_whoever_asks_at_the_same_time_whether_it_is_ready_shares_one_forecast(predictor, gate, monkeypatch):
    async def ready(client, times):
        return {one.status_code for one in await asyncio.gather(*(client.get("/readyz") for _ in range(times)))}

    clock = VirtualClock()
    monkeypatch.setattr("serving.web.routes.status.time", clock)

    async def run():
        async with asking(predictor) as client:
            gate.is_open.clear()
            asked = asyncio.create_task(ready(client, 50))
            await until_asked(gate)
            gate.is_open.set()
            assert await asked == {200}
            assert await ready(client, 10) == {200}
            assert len(gate.asked) == 1
            clock.move(READINESS_SECONDS)
            assert await ready(client, 10) == {200}
            assert len(gate.asked) == 2
            with monkeypatch.context() as patch:
                patch.setattr(gate, "symbols", list)
                clock.move(READINESS_SECONDS)
                assert await ready(client, 10) == {409}
            clock.move(READINESS_SECONDS)
            assert await ready(client, 10) == {200}

    asyncio.run(run())
