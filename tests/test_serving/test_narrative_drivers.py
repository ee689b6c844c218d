"""A forecast in words states the contributions of its features: those that the engines gave, and no others."""

import pytest

from serving.access import local_key
from serving.client import Client
from serving.predict import Predictor
from serving.web.app import build_app


@pytest.fixture(scope="module")
def client(copy_home, tmp_path_factory, served):
    home = copy_home(tmp_path_factory.mktemp("words") / "home")
    predictor = Predictor.open(home.settings)
    app = build_app(predictor)
    with served(app) as address, Client(address, local_key(home.settings), attempts=1) as made:
        yield made
    app.state.explanation_jobs.close()
    app.state.explanations.close()
    predictor.close()


def test_its_drivers_are_the_largest_contributions_with_their_signs(client) -> None:
    forecast = client.predict("AAPL", horizon_sessions=1)
    job = client.ask_in_words("AAPL", prediction_id=forecast.prediction_id)
    list(client.follow_words(job.job_id))
    written = client.in_words(job.job_id).explanation
    told = client.explain(forecast.prediction_id).explanation
    drivers = [fact for fact in written.facts if fact.id in written.key_drivers]
    values = told.local_explanation.shap_values
    assert [fact.value for fact in drivers] == pytest.approx([100 * values[fact.subject] for fact in drivers])
    largest = sorted(map(abs, values.values()), reverse=True)[: len(drivers)]
    assert [abs(fact.value) for fact in drivers] == pytest.approx([100 * value for value in largest])
    base = next(fact for fact in written.facts if fact.subject == "base value")
    assert base.value == pytest.approx(100 * told.base_value)
    raised = next(each for each in written.sentences if "raise the median return" in each.text)
    assert {fact.direction for fact in drivers if fact.id in raised.fact_ids} == {1}
    assert written.dropped == []
