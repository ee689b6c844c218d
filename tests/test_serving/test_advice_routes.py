"""Recommendations over HTTP, in the terminal and on a page: on disk before they are sent, and each key's own."""

import re
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from dagster_project import cli
from lake.settings import settings as read_settings
from lake.tables import DECISIONS, VOTES
from serving.access import keys
from serving.api import ADVICE_DISCLAIMER, ExplainRecommendationAnswer, RecommendAnswer
from serving.client import Client
from serving.pages.app import build_dashboard
from serving.predict import Predictor
from serving.recommendation_log import (
    drain_recommendations,
    recommendation_log_path,
    recommendation_of,
    recommendations_about,
)
from serving.risk import restrict, resume
from serving.web.app import build_app
from support.clients import client_of
from support.dashboard import Page, log_in, visiting
from support.ports import free_port
from support.receipts import Home

PUBLIC = "/api/v1/public"
RECOMMEND, LISTED, EXPLAIN = (f"{PUBLIC}/{each}" for each in ("recommend", "recommendations", "explain/recommendation"))
BOOK = {"current_position": 100, "equity": 100_000, "risk_tolerance": "moderate"}


@pytest.fixture(scope="module")
def mine(copy_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Home:
    made: Home = copy_home(tmp_path_factory.mktemp("advised") / "home", dashboard_port=free_port())
    return made


@pytest.fixture(scope="module")
def app(mine: Home) -> Iterator[Any]:
    predictor = Predictor.open(mine.settings)
    made = build_app(predictor)
    yield made
    made.state.explanations.close()
    predictor.close()


@pytest.fixture(scope="module")
def http(app: Any, mine: Home) -> TestClient:
    return client_of(app, mine.settings)


@pytest.fixture(scope="module")
def address(app: Any, served: Any) -> Iterator[str]:
    with served(app) as made:
        yield made


def ask(http: TestClient, symbol: str = "AAPL", *, key: str = "", **changes: Any) -> RecommendAnswer:
    body = {"symbol": symbol, "horizon_sessions": 5, "portfolio_context": BOOK} | changes
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = http.post(RECOMMEND, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return RecommendAnswer.model_validate_json(answer.text)


def test_what_was_answered_is_on_disk_in_the_lake_and_in_the_receipt_of_its_forecast(
    http: TestClient, mine: Home
) -> None:
    answer = ask(http)
    told = answer.recommendation
    assert recommendation_of(mine.lake, mine.settings, told.recommendation_id) is not None
    again = http.get(f"{LISTED}/{told.recommendation_id}")
    assert RecommendAnswer.model_validate_json(again.text) == answer
    forecast = http.get(f"{PUBLIC}/predictions/{answer.prediction_id}").json()
    assert (told.confidence, told.direction) == (
        forecast["prediction"]["confidence"],
        forecast["prediction"]["direction"],
    )
    assert answer.disclaimer == ADVICE_DISCLAIMER
    drain_recommendations(mine.lake, mine.settings)
    (row,) = recommendations_about(mine.lake, mine.settings, answer.prediction_id)
    assert (row["action"], row["expected_return"]) == (told.action, told.expected_return)
    receipt = http.get(f"{PUBLIC}/predictions/{answer.prediction_id}/receipt").json()
    (listed,) = receipt["recommendations"]
    assert listed["recommendation_id"] == told.recommendation_id
    assert "equity" not in str(listed), "whose book it was for is not told with a receipt"


def test_a_recommendation_says_what_it_follows_from(http: TestClient) -> None:
    told = ask(http).recommendation
    assert told.reasoning.startswith(told.action.capitalize())
    assert len(told.reasons) == 5 or told.no_reasons_because is None
    assert (told.flips_if is None) == (told.no_flip_because is not None)
    assert told.calibration.null == 0.5
    assert told.gate.state == "unknown"
    assert told.naive_return == 0.0
    assert told.loss_at_stop is None or told.risk_assessment.loss_budget == 500.0


def test_the_time_horizon_names_a_horizon_where_none_is_said(http: TestClient) -> None:
    body = {"symbol": "AAPL", "portfolio_context": BOOK | {"time_horizon": "long"}}
    assert http.post(RECOMMEND, json=body).json()["horizon_sessions"] == 5
    assert http.post(RECOMMEND, json={"symbol": "AAPL", "portfolio_context": BOOK}).json()["horizon_sessions"] == 1


def test_a_recommendation_is_told_to_the_key_that_asked_and_to_operators(http: TestClient, mine: Home) -> None:
    _, first = keys.create(mine.settings, "first", "predict", "unlimited", by="tests")
    _, second = keys.create(mine.settings, "second", "predict", "unlimited", by="tests")
    named = ask(http, "KO", key=first).recommendation.recommendation_id
    statuses = {}
    for name, key in (("first", first), ("second", second)):
        headers = {"authorization": f"Bearer {key}"}
        statuses[name] = http.get(f"{LISTED}/{named}", headers=headers).status_code
        listed = http.get(LISTED, params={"symbol": "KO"}, headers=headers).json()["recommendations"]
        assert [each["recommendation"]["recommendation_id"] for each in listed] == ([named] if name == "first" else [])
    assert statuses == {"first": 200, "second": 404}
    assert http.get(f"{LISTED}/{named}").status_code == 200, "the local key is an operator's"
    early = http.get(
        LISTED, params={"symbol": "KO", "as_of": "2012-12-14"}, headers={"authorization": f"Bearer {first}"}
    )
    assert early.json()["recommendations"] == [], "it was not known then"
    assert http.get(f"{LISTED}/{'0' * 32}").json()["type"] == "/problems/unknown-recommendation"


def decided(at: datetime, symbol: str, account: str, known: datetime) -> dict[str, Any]:
    return {
        "decision_id": f"{account}.{at:%Y%m%dT%H%M}.{symbol}", "account": account, "symbol": symbol, "event_time": at,
        "known_time": known, "action": "hold", "wanted": 0.03, "target": 0.0, "equal_weight_target": 0.05, "held": 0.0,
        "quantity": 0.0, "decided_by": "rule:halted", "reason": "The switch halts it.", "order_id": None,
        "content": "{}", "seal": "0" * 64,
    }  # fmt: skip


def voted(decision: dict[str, Any], source: str, weight: float, overruled_by: str | None) -> dict[str, Any]:
    same = {name: decision[name] for name in ("decision_id", "symbol", "event_time", "known_time")}
    return same | {
        "source": source, "kind": source.partition(":")[0], "vote": 0.1, "confidence": 0.5, "weight": weight,
        "expires_at": decision["event_time"] + timedelta(days=1), "version": "1", "reason": "A test.",
        "overruled_by": overruled_by,
    }  # fmt: skip


def test_an_explanation_has_the_votes_of_the_same_close_for_operators_and_for_nobody_else(
    http: TestClient, mine: Home
) -> None:
    _, key = keys.create(mine.settings, "asks why", "predict", "unlimited", by="tests")
    answer = ask(http, "HD", key=key)
    body = {"recommendation_id": answer.recommendation.recommendation_id}
    none = http.post(EXPLAIN, json=body).json()
    assert none["decisions"] == []
    assert none["no_decisions_because"].startswith("The desk decided nothing about HD at the close of 2012-")
    at, day = answer.as_of, timedelta(days=1)
    told, earlier, later, other = (
        decided(at, "HD", "paper", at),
        decided(at - day, "HD", "paper", at - day),
        decided(at, "HD", "late", at + 3650 * day),
        decided(at, "KO", "paper", at),
    )
    rule, strategy = voted(told, "rule:halted", 0.0, None), voted(told, "strategy:ridge", 0.3, "rule:halted")
    votes = [rule, strategy, *(voted(each, "strategy:ridge", 1.0, None) for each in (earlier, later, other))]
    for spec, rows in ((DECISIONS, [told, earlier, later, other]), (VOTES, votes)):
        mine.lake.merge(spec, pl.DataFrame(rows, schema=spec.schema, orient="row"))
    found = ExplainRecommendationAnswer.model_validate_json(http.post(EXPLAIN, json=body).text)
    (decision,) = found.decisions
    assert (decision.decision_id, decision.decided_by) == (told["decision_id"], "rule:halted")
    assert [(each.source, each.overruled_by) for each in decision.votes] == [
        ("strategy:ridge", "rule:halted"),
        ("rule:halted", None),
    ]
    assert found.no_decisions_because is None
    shown = http.post(EXPLAIN, json=body, headers={"authorization": f"Bearer {key}"})
    assert shown.status_code == 200, shown.text
    assert shown.json()["decisions"] == []
    assert "operator" in shown.json()["no_decisions_because"]
    assert "rule:halted" not in shown.text


def test_an_explanation_tells_what_was_stored_and_to_the_key_that_asked(http: TestClient, mine: Home) -> None:
    _, first = keys.create(mine.settings, "explains", "predict", "unlimited", by="tests")
    _, second = keys.create(mine.settings, "curious", "predict", "unlimited", by="tests")
    answer = ask(http, "GE", key=first)
    told = answer.recommendation
    body = {"recommendation_id": told.recommendation_id}
    shown = http.post(EXPLAIN, json=body, headers={"authorization": f"Bearer {first}"})
    found = ExplainRecommendationAnswer.model_validate_json(shown.text)
    assert (found.recommendation_id, found.prediction_id, found.as_of) == (
        told.recommendation_id,
        answer.prediction_id,
        answer.as_of,
    )
    assert (found.action, found.reason, found.gate) == (told.action, told.reason, told.gate)
    assert (found.contributions, found.flips_if) == (told.reasons, told.flips_if)
    assert (found.no_contributions_because, found.no_flip_because) == (told.no_reasons_because, told.no_flip_because)
    assert bool(found.sizes) == bool(told.sizes) == (found.no_sizes_because is None)
    assert found.disclaimer == ADVICE_DISCLAIMER
    drain_recommendations(mine.lake, mine.settings)
    assert http.post(EXPLAIN, json=body, headers={"authorization": f"Bearer {first}"}).text == shown.text
    refused = http.post(EXPLAIN, json=body, headers={"authorization": f"Bearer {second}"})
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/unknown-recommendation")
    for unknown in ("0" * 32, "../x", ""):
        assert http.post(EXPLAIN, json={"recommendation_id": unknown}).status_code == 404
    assert http.post(EXPLAIN, json={}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"symbol": "AAPL"}, 422, "invalid-request"),
        ({"symbol": "AAPL", "portfolio_context": BOOK | {"risk_tolerance": "reckless"}}, 422, "invalid-request"),
        ({"symbol": "AAPL", "portfolio_context": BOOK | {"equity": 0}}, 422, "invalid-request"),
        ({"symbol": "APPL", "portfolio_context": BOOK}, 404, "unknown-symbol"),
        ({"symbol": "AAPL", "horizon_sessions": 3, "portfolio_context": BOOK}, 422, "unknown-horizon"),
    ],
)
def test_what_cannot_be_advised_is_a_problem_document(
    http: TestClient, body: dict[str, Any], status: int, slug: str
) -> None:
    answer = http.post(RECOMMEND, json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{slug}")


def test_a_busy_explanation_process_takes_nothing_but_the_reasons(app: Any, http: TestClient) -> None:
    ended = threading.Event()
    waiting = threading.Thread(target=app.state.explanations.queue.compute_for_thread, args=(ended.wait, 20.0))
    waiting.start()
    try:
        told = ask(http, "IBM").recommendation
    finally:
        ended.set()
        waiting.join()
    assert told.reasons == []
    assert told.flips_if is None
    assert "explanation process did not answer within" in (told.no_reasons_because or "")
    assert told.no_flip_because == told.no_reasons_because


def test_what_cannot_be_stored_is_not_answered(http: TestClient, mine: Home) -> None:
    path = recommendation_log_path(mine.settings)
    aside = path.with_name("aside.sqlite")
    path.rename(aside)
    path.mkdir()
    try:
        answer = http.post(RECOMMEND, json={"symbol": "AAPL", "portfolio_context": BOOK})
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/forecast-log-not-available")
    finally:
        path.rmdir()
        aside.rename(path)


def test_a_halt_is_told_at_the_next_question(http: TestClient, mine: Home) -> None:
    resume(mine.settings.home, by="A. Reviewer", reason="begin")
    assert ask(http).recommendation.gate.state == "active"
    restrict(mine.settings.home, "halted", by="A. Reviewer", reason="drill")
    told = ask(http).recommendation
    resume(mine.settings.home, by="A. Reviewer", reason="drill over")
    assert (told.action, told.reason, told.gate.state) == ("hold", "halted", "halted")
    assert told.gate.refused_by == "the switch (account:*: drill)"


def test_the_client_and_the_command_ask_the_same(
    address: str, http: TestClient, mine: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = keys.create(mine.settings, "client", "predict", "unlimited", by="tests")[1]
    with Client(address, key) as client:
        answer = client.recommend("GE", 5, position=100, equity=100_000, risk_tolerance="low")
        assert client.recommendation(answer.recommendation.recommendation_id) == answer
        assert client.recommendations("GE").recommendations == [answer]
        why = client.explain_recommendation(answer.recommendation.recommendation_id)
        assert (why.reasoning, why.bound_by) == (answer.recommendation.reasoning, answer.recommendation.bound_by)
    for name, value in (("HOME", str(mine.settings.home)), ("PORT", address.rpartition(":")[2])):
        monkeypatch.setenv(f"QUANTLAKE_{name}", value)
    monkeypatch.setenv("COLUMNS", "80")
    read_settings.cache_clear()
    words = ["recommend", "ge", "--position", "100", "--equity", "100000", "--risk", "low", "--horizon", "5"]
    shown = CliRunner().invoke(cli.app, words, catch_exceptions=False).stdout
    as_json = CliRunner().invoke(cli.app, [*words, "--json"], catch_exceptions=False).stdout
    monkeypatch.undo()
    read_settings.cache_clear()
    told = RecommendAnswer.model_validate_json(as_json)
    assert told.recommendation.expected_return == answer.recommendation.expected_return
    lines = shown.splitlines()
    assert lines[0].startswith("GE as of ")
    assert max(map(len, lines)) <= 80
    assert lines[2].split()[1].rstrip(",") == told.recommendation.action.upper()
    assert re.search(r"past calls +\S", shown)
    assert "not a recommendation to invest" in shown


def test_the_page_of_a_symbol_asks_for_a_book_and_shows_the_answer(address: str, mine: Home) -> None:
    settings = mine.settings.model_copy(update={"port": int(address.rpartition(":")[2])})
    key = keys.create(mine.settings, "visitor", "predict", "unlimited", by="tests")[1]
    app = build_dashboard(settings)
    with visiting(app, settings) as visitor:
        log_in(visitor, key)
        page = Page(visitor.get("/s/AAPL?horizon=5").text)
        (form,) = [each for each in page.all("form") if each["action"] == "/s/AAPL/advice"]
        fields = [each for each in page.elements[form["place"] :] if each["tag"] == "input"][:4]
        data = {each["name"]: each["value"] for each in fields} | {
            "position": "100",
            "equity": "100,000",
            "risk": "high",
        }
        answer = visitor.post("/s/AAPL/advice", data=data)
        assert answer.status_code == 303, answer.text
        found = Page(visitor.get(answer.headers["location"]).text)
        text = found.text(id="main")
        assert "100 shares held, equity 100,000 USD, high risk tolerance" in text
        assert ADVICE_DISCLAIMER in text
        assert "a coin has 50 %" in text
        assert "Risk gate: " in text
        named = answer.headers["location"].partition("id=")[2].partition("&")[0]
        assert named in text
        wrong = visitor.post("/s/AAPL/advice", data=data | {"equity": "plenty"})
        assert wrong.status_code == 422
        assert "expected a number" in wrong.text
        unsigned = visitor.post("/s/AAPL/advice", data=data | {"form_token": "0"})
        assert unsigned.status_code == 403
        past = Page(visitor.get("/s/AAPL/advice?as_of=2012-12-14").text).text(id="main")
        assert "You had asked for none about this symbol." in past
    with visiting(build_dashboard(settings), settings) as other:
        log_in(other, keys.create(mine.settings, "reader", "read", "unlimited", by="tests")[1])
        assert "There is no recommendation" in other.get(f"/s/AAPL/advice?id={named}").text
        assert '/s/AAPL/advice"' not in other.get("/s/AAPL?horizon=5").text
        assert other.post("/s/AAPL/advice", data={"form_token": "0"}).status_code == 403
