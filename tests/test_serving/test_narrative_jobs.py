"""Jobs of written explanations over real HTTP: events in order, one job per question, honest failures."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from lake.errors import FailedJobError, NotReadyError, OverloadedError, UnknownNameError
from lake.store import Lake
from serving.access import local_key
from serving.api import PredictAnswer
from serving.client import Client
from serving.explain.narrative import ExplanationJobs, JobQuestion
from serving.explain.narrative.documents import store_documents
from serving.explain.narrative.jobs import STOPPED
from serving.explain.narrative.records import LOST
from serving.explain.narrative.retrieve import LEXICAL
from serving.explain.narrative.vectors import store_vectors
from serving.monitoring.metrics import NARRATIVE_SENTENCES
from serving.web.app import build_app
from support.clients import headers_of
from support.embedding import packaged_embedder
from support.injections import INJECTIONS
from support.narratives import document, language_model
from support.services import NO_AUTHORITIES
from support.waiting import until

KILLED = Path(__file__).parents[1] / "support" / "asking_for_words.py"


@pytest.fixture(scope="module")
def app(predictor_aside):
    return build_app(predictor_aside)


@pytest.fixture(scope="module")
def address(app, served):
    with served(app) as made:
        yield made


@pytest.fixture(scope="module")
def client(address, aside):
    with Client(address, local_key(aside), attempts=1) as made:
        yield made


@pytest.fixture(scope="module")
def lake(aside):
    """The lake of the service, with an internal note and thirty documents of others that it is to be wary of."""
    made = Lake(aside.tables)
    notes = [document("note", "lstm is a model of this home. It reads a window.")]
    foreign = [document(f"foreign-{n}", f"lstm: {text}", source="news") for n, text in enumerate(INJECTIONS)]
    store_documents(made, notes + foreign)
    return made


@pytest.fixture
def forecast(predictor_aside):
    """A fresh forecast, about which nobody has asked yet."""
    return stored(predictor_aside, ["AAPL"], 1)[0]


@pytest.fixture
def with_model(app, aside, lake):
    """Let the service ask a language model, with a queue of some length, searching by words alone; gives the jobs."""
    before, made = app.state.explanation_jobs, []

    def use(model, *, embedder="off", **changes):
        asked = {"llm_url": model.openai, "llm_model": "small", "llm_timeout_s": 120, "embedder": embedder}
        configured = aside.model_copy(update=asked)
        made.append(ExplanationJobs(configured, lake, **changes))
        app.state.explanation_jobs = made[-1]
        return made[-1]

    yield use
    app.state.explanation_jobs = before
    for jobs in made:
        jobs.close()


def stored(predictor, symbols, horizon):
    return [PredictAnswer.model_validate_json(text) for text in predictor.predict(symbols, horizon).texts]


def asked(client, forecast, depth="fast"):
    return client.ask_in_words("AAPL", depth=depth, prediction_id=forecast.prediction_id)


def done(client, forecast, depth="fast"):
    job = asked(client, forecast, depth)
    events = list(client.follow_words(job.job_id))
    return job, events, client.in_words(job.job_id)


def echo(prompt):
    """A model that says one true thing and one that is not."""
    median = next(fact for fact in prompt["facts"] if fact["subject"] == "median return")
    said = f"The median return is {median['printed']}."
    return [
        {"text": said, "fact_ids": [median["id"]], "source_ids": []},
        {"text": said.replace(median["printed"], "+77.00 %"), "fact_ids": [median["id"]], "source_ids": []},
    ]


def test_events_come_in_order_and_each_sentence_is_one_of_the_answer(client, forecast) -> None:
    job, events, answer = done(client, forecast)
    assert [event.step for event in events if event.event == "step"] == ["facts", "contributions", "template"]
    assert [event.sentence for event in events if event.event == "sentence"] == answer.explanation.sentences
    assert (events[0].event, events[-1].event) == ("step", "completed")
    assert list(client.follow_words(job.job_id, after=2)) == events[2:]
    assert (answer.status, answer.progress, answer.prediction_id) == ("completed", 1, forecast.prediction_id)
    assert answer.explanation.text == " ".join(each.text for each in answer.explanation.sentences)
    assert (answer.explanation.writer, answer.explanation.dropped, answer.explanation.search) == ("template", [], "")


def test_its_numbers_are_those_of_the_forecast(client, forecast) -> None:
    facts = {fact.subject: fact for fact in done(client, forecast)[2].explanation.facts}
    said = forecast.prediction
    values = {"median return": said.p50, "p10": said.p10, "p90": said.p90, "confidence": said.confidence}
    assert {name: facts[name].value for name in values} == {name: 100 * value for name, value in values.items()}
    assert facts["target price"].value == said.target_price
    assert facts["regime"].value == said.regime.replace("_", " ")
    weights = {member.name: facts[member.name].value for member in forecast.model.members}
    assert weights == {member.name: 100 * member.weight for member in forecast.model.members}


def test_the_same_question_gets_the_same_job_from_every_worker(client, forecast, app, aside, lake) -> None:
    job, _, _ = done(client, forecast)
    again = asked(client, forecast)
    assert (again.job_id, again.is_cached, again.status, again.estimated_seconds) == (job.job_id, True, "completed", 0)
    assert not job.is_cached
    assert asked(client, forecast, "medium").job_id != job.job_id
    other = ExplanationJobs(aside, lake)  # as another worker of the same home has them
    question = JobQuestion(symbol="AAPL", prediction_id=forecast.prediction_id, depth="fast")
    assert other.ask(question)[0].job_id == job.job_id
    assert other.find(job.job_id).explanation is not None
    other.close()


def test_without_an_id_the_newest_forecast_is_explained(client, forecast) -> None:
    job = client.ask_in_words("AAPL", horizon_sessions=1)
    list(client.follow_words(job.job_id))
    assert client.in_words(job.job_id).prediction_id == forecast.prediction_id
    assert client.newest_in_words("AAPL").job_id == job.job_id


def test_what_cannot_be_explained_is_refused(client, forecast) -> None:
    with pytest.raises(UnknownNameError):
        client.ask_in_words("IBM", prediction_id=forecast.prediction_id)
    with pytest.raises(UnknownNameError):
        client.ask_in_words("AAPL", prediction_id="0" * 32)
    with pytest.raises(UnknownNameError):
        client.ask_in_words("APPL")
    with pytest.raises(NotReadyError, match="No forecast of GE"):
        client.ask_in_words("GE")
    for look in (client.in_words, client.newest_in_words, lambda name: list(client.follow_words(name))):
        with pytest.raises(UnknownNameError):
            look("nothing")


def test_the_template_answers_first_and_the_model_replaces_it(client, forecast, with_model) -> None:
    with language_model(echo) as model:
        with_model(model)
        model.is_held.clear()
        job = asked(client, forecast, "medium")
        early = until(lambda: (found := client.in_words(job.job_id)).explanation and found.step == "model" and found)
        assert (early.status, early.explanation.writer) == ("processing", "template")
        model.is_held.set()
        events = list(client.follow_words(job.job_id))
        late = client.in_words(job.job_id)
    assert [event.step for event in events if event.event == "step"] == [
        "facts",
        "contributions",
        "passages",
        "template",
        "model",
    ]
    assert (late.status, late.explanation.writer, late.explanation.writer_problem) == ("completed", "model", "")
    assert [dropped.reason for dropped in late.explanation.dropped] == ["number"]
    assert "+77.00" not in late.model_dump_json()
    assert "+77.00" not in "".join(event.model_dump_json() for event in events)
    assert "meant to hold 80 %" in late.explanation.text, "a model cannot leave out how often the band held"


@pytest.mark.parametrize("embedder", ["off", None], ids=["by words", "by meaning"])
def test_a_model_that_obeys_documents_is_heard_no_further(client, forecast, with_model, lake, embedder) -> None:
    if embedder is None:
        store_vectors(lake, packaged_embedder())
    before = NARRATIVE_SENTENCES.labels("model", "trade")._value.get()

    def obey(prompt):
        texts = [passage["text"].removeprefix("lstm: ") for passage in prompt["passages"]]
        every = [fact["id"] for fact in prompt["facts"]]
        return [{"text": text, "fact_ids": every, "source_ids": []} for text in (*texts, "Buy everything.")]

    with language_model(obey) as model:
        with_model(model, embedder=embedder)
        _, _, answer = done(client, forecast, "medium")
    written = answer.explanation
    assert written.writer == "template"
    assert written.search.startswith(LEXICAL)
    assert ("by meaning" in written.search) == (embedder is None)
    assert "none passed the check" in written.writer_problem
    assert {source.source for source in written.sources} >= {"news"}
    assert not any(text in sentence.text for text in INJECTIONS for sentence in written.sentences)
    assert NARRATIVE_SENTENCES.labels("model", "trade")._value.get() > before


def test_a_model_that_fails_leaves_the_template_and_the_reason(client, forecast, with_model) -> None:
    with language_model(lambda _: "no JSON") as model:
        with_model(model)
        _, _, answer = done(client, forecast, "medium")
    assert (answer.status, answer.explanation.writer) == ("completed", "template")
    assert "language model small" in answer.explanation.writer_problem


def test_more_questions_than_may_wait_are_refused_and_those_that_wait_fail_at_the_end(
    client, predictor_aside, with_model
) -> None:
    with language_model(echo) as model:
        jobs = with_model(model, waiting=1)
        model.is_held.clear()
        forecasts = stored(predictor_aside, ["AAPL", "IBM", "KO"], 5)
        first, second, third = (
            JobQuestion(symbol=each.symbol, prediction_id=each.prediction_id, depth="medium") for each in forecasts
        )
        working, _ = jobs.ask(first)
        until(lambda: jobs.find(working.job_id).step == "model")
        waiting, _ = jobs.ask(second)
        with pytest.raises(OverloadedError, match="wait to be written"):
            jobs.ask(third)
        with pytest.raises(OverloadedError):
            client.ask_in_words("KO", depth="medium", prediction_id=third.prediction_id)
        model.is_held.set()
        jobs.close()
        with pytest.raises(FailedJobError, match=STOPPED):
            client.in_words(waiting.job_id)
        assert client.in_words(working.job_id).status == "completed"


def test_a_job_that_waits_is_followed_to_its_end(address, aside, predictor_aside, with_model) -> None:
    with language_model(echo) as model:
        jobs = with_model(model, waiting=1)
        model.is_held.clear()
        first, second = (
            jobs.ask(JobQuestion(symbol=each.symbol, prediction_id=each.prediction_id, depth="medium"))[0]
            for each in stored(predictor_aside, ["AAPL", "IBM"], 5)
        )
        until(lambda: jobs.find(first.job_id).step == "model")
        path = f"{address}/api/v1/public/explanations/jobs/{second.job_id}/events"
        with httpx.stream("GET", path, headers=headers_of(aside), verify=NO_AUTHORITIES) as answer:
            assert jobs.events(second.job_id) == ()
            model.is_held.set()
            lines = list(answer.iter_lines())
    assert [line for line in lines if line.startswith("event: ")][-1] == "event: completed"
    assert [line for line in lines if line.startswith("id: ")][:2] == ["id: 1", "id: 2"]


def test_a_job_that_was_lost_with_its_process_says_so(client, forecast, aside, lake) -> None:
    with language_model(echo) as model:
        model.is_held.clear()
        environment = os.environ | {
            "QUANTLAKE_HOME": str(aside.home),
            "QUANTLAKE_LLM_URL": model.openai,
            "QUANTLAKE_LLM_MODEL": "small",
        }
        command = [sys.executable, str(KILLED), "AAPL", forecast.prediction_id]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            job_id = process.stdout.readline().strip()
            until(lambda: client.in_words(job_id).step == "model", "it did not come to the model")
            process.kill()
    with pytest.raises(FailedJobError, match=LOST) as caught:
        client.in_words(job_id)
    assert caught.value.problem.status == 410
    last = list(client.follow_words(job_id))[-1]
    assert (last.event, last.reason) == ("failed", LOST)
    again = asked(client, forecast, "medium")
    assert (again.job_id == job_id, again.is_cached) == (False, False)
