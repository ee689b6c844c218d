"""A deep explanation in words: the fast text first, then the facts that the engines gave, and what was left out."""

import threading

import pytest

from lake.errors import FailedJobError, NotReadyError, OverloadedError
from lake.store import Lake
from lake.tables import EXPLANATIONS
from serving.access import local_key
from serving.api import PredictAnswer
from serving.api.explanations import BarChange, CounterfactualRequest, Scenario
from serving.client import Client
from serving.explain.narrative import DEEP_PARTS, DeepFindings, ExplanationJobs, JobQuestion
from serving.explain.narrative.deep import LineFidelity
from serving.explain.narrative.jobs import DEEP_WAITING, STOPPED
from serving.explanation_log import drain_explanations
from serving.predict import Predictor
from serving.web.app import build_app
from support.waiting import until

FIRST = ["facts", "contributions", "passages", "template"]


@pytest.fixture(scope="module")
def mine(copy_home, tmp_path_factory):
    return copy_home(tmp_path_factory.mktemp("deep") / "home")


@pytest.fixture(scope="module")
def predictor(mine):
    made = Predictor.open(mine.settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def client(mine, predictor, served):
    app = build_app(predictor)
    with served(app) as address, Client(address, local_key(mine.settings), attempts=1) as made:
        yield made
    app.state.explanation_jobs.close()
    app.state.explanations.close()


@pytest.fixture
def jobs_with(mine):
    """Give jobs whose deep parts a function computes."""
    made = []

    def use(deep_of, **changes):
        made.append(ExplanationJobs(mine.settings, Lake(mine.settings.tables), deep_of=deep_of, **changes))
        return made[-1]

    yield use
    for jobs in made:
        jobs.close()


def question(predictor, symbol, depth="deep"):
    (text,) = predictor.predict([symbol], 5).texts
    answer = PredictAnswer.model_validate_json(text)
    return JobQuestion(symbol=symbol, prediction_id=answer.prediction_id, depth=depth)


def ended(jobs, job_id):
    until(lambda: jobs.find(job_id).status == "completed")
    return jobs.find(job_id)


def test_the_deep_facts_are_what_the_engines_answer_and_come_after_the_fast_text(client, mine) -> None:
    forecast = client.predict("AAPL", horizon_sessions=5)
    job = client.ask_in_words("AAPL", depth="deep", prediction_id=forecast.prediction_id)
    events = list(client.follow_words(job.job_id))
    written = client.in_words(job.job_id).explanation
    assert [each.step for each in events if each.event == "step"] == [*FIRST, *DEEP_PARTS, "deep_template"]
    names = [each.step or each.event for each in events]
    assert "sentence" in names[names.index("template") : names.index("stability")], "the fast text comes first"
    last = [each.sentence for each in events[names.index("deep_template") :] if each.sentence is not None]
    assert last == written.sentences
    assert (written.dropped, written.left_out) == ([], [])
    facts = {fact.subject: fact for fact in written.facts}

    deep = client.explain(forecast.prediction_id, explanation_type="deep").explanation
    assert facts["lowest of these rank correlations"].value == deep.stability.lowest
    assert facts["base value"].value == pytest.approx(100 * deep.base_value)
    line = client.explain(forecast.prediction_id, method="lime", explanation_type="deep").explanation
    assert facts["fidelity R2 of a straight line (LIME)"].value == line.fidelity_r2
    assert facts["straight line (LIME)"].value == ("faithful" if line.is_faithful else "not faithful")
    for change, name in ((-0.03, "-3 %"), (0.03, "+3 %")):
        asked = Scenario(bar=BarChange(close_change=change))
        told = client.what_if(CounterfactualRequest(prediction_id=forecast.prediction_id, scenario=asked))
        assert facts[f"median return with a close {name}"].value == pytest.approx(100 * told.changed.p50)
        assert facts[f"features that move with a close {name}"].value == len(told.moved)
    assert facts["returns after similar windows"].value == 5
    assert {"stability", "line"} <= {fact.kind for fact in written.facts if fact.id in written.uncertainties}

    drain_explanations(mine.lake, mine.settings)
    rows = mine.lake.read(EXPLANATIONS).filter(forecast_id=forecast.prediction_id)
    kept = set(rows.select("method", "depth").iter_rows())
    assert {("narrative", "deep"), ("shapley", "deep"), ("lime", "deep")} <= kept


def test_a_part_that_cannot_be_computed_is_left_out_and_the_reason_is_said(predictor, jobs_with) -> None:
    def deep_of(_, part):
        if part == "line":
            return DeepFindings(line=LineFidelity(0.5, 0.8))
        raise NotReadyError(f"There is no {part} today.")

    record = ended(*asked(jobs_with(deep_of), question(predictor, "AAPL")))
    written = record.explanation
    missing = [part for part in DEEP_PARTS if part != "line"]
    assert [(each.part, each.reason) for each in written.left_out] == [
        (part, f"There is no {part} today.") for part in missing
    ]
    assert [each.step for each in record.events if each.event == "left_out"] == missing
    assert "the straight line (LIME) is not faithful." in written.text
    assert "similar" not in written.text
    assert "close -3 %" not in written.text


def asked(jobs, about):
    return jobs, jobs.ask(about)[0].job_id


def test_a_deep_explanation_holds_up_no_other_and_ends_as_cancelled(predictor, jobs_with) -> None:
    held = threading.Event()
    jobs = jobs_with(lambda _, __: held.wait() and DeepFindings())
    _, deep = asked(jobs, question(predictor, "AAPL"))
    until(lambda: jobs.find(deep).step == "stability")
    assert jobs.find(deep).explanation.text, "the fast text is there meanwhile"
    _, fast = asked(jobs, question(predictor, "KO", "fast"))
    assert ended(jobs, fast).status == "completed"
    jobs.cancel(deep)
    held.set()
    until(lambda: not jobs._deep_ids)
    with pytest.raises(FailedJobError, match="cancelled"):
        jobs.find(deep)


def test_no_more_deep_explanations_wait_than_may_and_those_that_wait_fail_at_the_end(predictor, jobs_with) -> None:
    held = threading.Event()
    jobs = jobs_with(lambda _, __: held.wait() and DeepFindings())
    symbols = ["AAPL", "KO", "IBM", "GE", "XOM"][: DEEP_WAITING + 1]
    *may, last = [question(predictor, symbol) for symbol in symbols]
    made = [jobs.ask(each)[0].job_id for each in may]
    with pytest.raises(OverloadedError, match=f"{DEEP_WAITING} explanations wait"):
        jobs.ask(last)
    until(lambda: all(jobs.find(job_id).explanation for job_id in made))
    until(lambda: jobs._deep_queue.qsize() == DEEP_WAITING - 1)
    threading.Timer(0.1, held.set).start()
    jobs.close()
    for job_id in made[1:]:
        with pytest.raises(FailedJobError, match=STOPPED):
            jobs.find(job_id)
