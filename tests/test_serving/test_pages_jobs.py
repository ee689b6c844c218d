"""A written explanation on its way: how far it is, its text so far, and that it is cancelled for good."""

import pytest

from lake.errors import FailedJobError, UnknownNameError
from lake.store import Lake
from serving.access import keys, local_key
from serving.api import PredictAnswer
from serving.client import Client
from serving.explain.narrative import ExplanationJobs
from serving.pages.app import build_dashboard
from serving.web.app import build_app
from support.dashboard import Page, log_in, visiting
from support.narratives import language_model
from support.ports import free_port
from support.waiting import until

NOBODY = 1_025
"""A port that no endpoint listens on."""


@pytest.fixture(scope="module")
def app(predictor_aside):
    return build_app(predictor_aside)


@pytest.fixture(scope="module")
def settings(aside, app, served):
    """Of a home behind a listening endpoint."""
    with served(app) as address:
        yield aside.model_copy(update={"port": int(address.rpartition(":")[2]), "dashboard_port": free_port()})


@pytest.fixture(scope="module")
def client(settings):
    with Client.local(settings, attempts=1) as made:
        yield made


@pytest.fixture
def model(app, settings):
    """Give a language model that answers once it is let, and let the endpoint ask it."""
    before = app.state.explanation_jobs
    with language_model(lambda _: "no JSON") as made:
        made.is_held.clear()
        configured = settings.model_copy(update={"llm_url": made.openai, "llm_model": "small", "llm_timeout_s": 120})
        app.state.explanation_jobs = ExplanationJobs(configured, Lake(settings.tables))
        yield made
        made.is_held.set()
        app.state.explanation_jobs.close()
        app.state.explanation_jobs = before


@pytest.fixture
def asked(client, predictor_aside, model):
    """Id of a job whose template text is there, and that waits for the language model."""
    (text,) = predictor_aside.predict(["AAPL"], 1).texts
    forecast = PredictAnswer.model_validate_json(text)
    job_id = client.ask_in_words("AAPL", depth="medium", prediction_id=forecast.prediction_id).job_id
    until(lambda: client.in_words(job_id).step == "model")
    return job_id


@pytest.fixture
def visitor(settings):
    _, text = keys.create(settings, "asking", "predict", "unlimited", by="tests")
    with visiting(build_dashboard(settings), settings) as made:
        log_in(made, text)
        yield made


def page(visitor, job_id):
    answer = visitor.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


def cancel(visitor, job_id, **fields):
    token = Page(visitor.get("/about").text).all("input", name="form_token")[0]["value"]
    return visitor.post(f"/jobs/{job_id}/cancel", data={"form_token": token} | fields)


def test_a_job_under_way_shows_its_step_its_progress_and_the_text_so_far(visitor, client, asked, model):
    shown = page(visitor, asked)
    told = client.in_words(asked)
    assert shown.all("progress")[0]["value"] == str(round(100 * told.progress))
    assert "model, since" in shown.text(id="job")
    assert all(sentence.text in shown.text(id="job") for sentence in told.explanation.sentences)
    model.is_held.set()
    until(lambda: client.in_words(asked).status == "completed")
    done = page(visitor, asked)
    assert "Done after" in done.text(id="job")
    assert done.all("progress") == []
    assert "data-polled" not in done.all("section", id="job")[0]


def test_a_cancelled_job_stays_cancelled_whatever_its_writer_says_later(visitor, client, asked, model, app):
    assert cancel(visitor, asked).headers["location"] == f"/jobs/{asked}"
    assert "it was cancelled. Ask for it again." in page(visitor, asked).text(id="job")
    events = list(client.follow_words(asked))
    assert (events[-1].event, events[-1].reason) == ("failed", "it was cancelled")
    model.is_held.set()
    app.state.explanation_jobs.close()  # waits for what the job was doing
    with pytest.raises(FailedJobError, match="cancelled"):
        client.in_words(asked)
    assert [event.event for event in client.follow_words(asked)].count("completed") == 0


def test_the_same_question_after_a_cancelled_job_gets_another_one(client, asked):
    prediction_id = client.in_words(asked).prediction_id
    assert client.cancel_words(asked).status == "cancelled"
    assert client.ask_in_words("AAPL", depth="medium", prediction_id=prediction_id).job_id != asked
    with pytest.raises(FailedJobError, match="cancelled"):
        client.cancel_words(asked)


def test_a_completed_job_stays_completed(client, asked, model):
    model.is_held.set()
    until(lambda: client.in_words(asked).status == "completed")
    assert client.cancel_words(asked).status == "completed"
    assert client.in_words(asked).explanation is not None


def test_only_a_key_that_may_ask_cancels_and_only_with_a_form_of_its_own(visitor, client, asked, settings):
    _, text = keys.create(settings, "reading", "read", "unlimited", by="tests")
    with visiting(build_dashboard(settings), settings) as reader:
        log_in(reader, text)
        assert cancel(reader, asked).status_code == 403
        assert page(reader, asked).all("form", action=f"/jobs/{asked}/cancel") == []
    assert cancel(visitor, asked, form_token="0" * 43).status_code == 403
    assert client.in_words(asked).status == "processing"


def test_an_unknown_job_and_a_missing_endpoint_are_said(visitor, client, settings):
    with pytest.raises(UnknownNameError):
        client.cancel_words("nothing")
    assert cancel(visitor, "nothing").status_code == 404
    assert "Jobs can be looked up for an hour." in page(visitor, "nothing").text(id="job")
    apart = settings.model_copy(update={"port": NOBODY})
    with visiting(build_dashboard(apart), apart) as other:
        log_in(other, local_key(apart))
        assert cancel(other, "nothing").status_code == 503
