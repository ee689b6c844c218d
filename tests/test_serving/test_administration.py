"""What an administrator does through the endpoint: keys, limits and settings, no further than the own key reaches."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from lake.setting_list import MASK
from lake.store import Lake
from serving import audit
from serving.access import keys, tokens
from serving.api import BATCH_SYMBOLS, REQUESTS_AN_HOUR
from serving.forecast_log import drain, prune
from serving.web.app import build_app
from support.clients import client_of
from support.waiting import until

ADMIN, PREDICTIONS = "/api/v1/internal/admin", "/api/v1/internal/predictions"
PREDICT = "/api/v1/public/predict"


@pytest.fixture
def own(home, tmp_path):
    """The home's models and features, with keys and a forecast log of its own."""
    return home.settings.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture
def client(predicting, own):
    with predicting(own) as predictor:
        yield client_of(build_app(predictor))


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def test_a_key_is_made_listed_used_and_revoked(client, own):
    answer = client.post(f"{ADMIN}/keys", json={"name": "research desk", "role": "predict", "tier": "free", "days": 7})
    made = answer.json()
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert made["text"].startswith("ql_")
    asked = {"symbol": "KO", "horizon_sessions": 1}
    assert client.post(PREDICT, json=asked, headers=bearer(made["text"])).status_code == 200
    listed = {key["name"]: key for key in client.get(f"{ADMIN}/keys").json()["keys"]}
    assert set(listed) == {"local", "research desk"}
    assert listed["research desk"] | {"last_used_at": None} == made["key"]
    begins, ends = (datetime.fromisoformat(made["key"][name]) for name in ("created_at", "expires_at"))
    assert round((ends - begins) / timedelta(days=1), 3) == 7
    revoked = client.post(f"{ADMIN}/keys/revoke", json={"key_id": made["key"]["key_id"]}).json()
    assert (revoked["state"], revoked["key_id"]) == ("revoked", made["key"]["key_id"])
    until(lambda: client.post(PREDICT, json=asked, headers=bearer(made["text"])).status_code == 401)
    said = [(row["what"], row["who"]) for row in audit.newest(Lake.open(own), 20)]
    local = keys.find(own, keys.local_key(own)).who
    assert ("key.create", local) in said
    assert ("key.revoke", local) in said
    paths = [json.loads(row["details"])["path"] for row in audit.newest(Lake.open(own), 20, "operator.request")]
    assert paths == [f"{ADMIN}/keys", f"{ADMIN}/keys", f"{ADMIN}/keys/revoke"]


def test_no_answer_and_no_audit_row_holds_the_text_of_a_key_again(client, own):
    text = client.post(f"{ADMIN}/keys", json={"name": "desk", "role": "read"}).json()["text"]
    said = client.get(f"{ADMIN}/keys").text + json.dumps(audit.newest(Lake.open(own), 20), default=str)
    assert text.rpartition("_")[2] not in said
    assert keys.find(own, text).digest not in said


def test_a_token_makes_and_revokes_no_key(client, own):
    key, _ = keys.create(own, "boss", "operator", "unlimited", by="tests")
    shown = bearer(tokens.issue(own, key.caller()))
    before = len(keys.listing(own))
    made = client.post(f"{ADMIN}/keys", json={"name": "x", "role": "operator"}, headers=shown)
    revoked = client.post(f"{ADMIN}/keys/revoke", json={"key_id": key.id}, headers=shown)
    assert [answer.status_code for answer in (made, revoked)] == [403, 403]
    assert "token" in made.json()["detail"]
    assert len(keys.listing(own)) == before
    assert keys.find(own, key.id).revoked_at is None


@pytest.mark.parametrize("days", [None, 400])
def test_a_key_ends_no_later_than_the_key_that_made_it(client, own, days):
    ends = datetime.now(UTC) + timedelta(days=30)
    _, text = keys.create(own, "for a month", "operator", "unlimited", by="tests", expires_at=ends)
    asked = {"name": "x", "role": "operator", "days": days}
    made = client.post(f"{ADMIN}/keys", json=asked, headers=bearer(text)).json()["key"]
    assert abs(datetime.fromisoformat(made["expires_at"]) - ends) < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("route", "body", "status", "kind"),
    [
        ("keys", {"name": "desk", "role": "owner"}, 422, "invalid-request"),
        ("keys", {"name": " ", "role": "read"}, 422, "invalid-request"),
        ("keys", {"name": "a\u0007", "role": "read"}, 422, "invalid-request"),
        ("keys", {"name": "desk", "role": "read", "days": 0}, 422, "invalid-request"),
        ("keys/revoke", {"key_id": "nobody"}, 404, "unknown-key"),
    ],
)
def test_a_request_that_breaks_a_rule_is_a_problem_document(client, route, body, status, kind):
    answer = client.post(f"{ADMIN}/{route}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{kind}")


def test_limits_and_settings_are_those_in_force_and_secrets_are_masked(client, monkeypatch):
    from lake.settings import settings

    limits = client.get(f"{ADMIN}/limits").json()
    assert {tier["tier"]: tier["requests_an_hour"] for tier in limits["tiers"]} == REQUESTS_AN_HOUR
    assert limits["batch_symbols"] == BATCH_SYMBOLS
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@10.0.0.1:6379/0")
    settings.cache_clear()
    answer = client.get(f"{ADMIN}/settings")
    settings.cache_clear()
    shown = {each["variable"]: each for each in answer.json()["settings"]}
    assert "hunter2" not in answer.text
    assert shown["REDIS_URL"]["value"] == f"redis://{MASK}@10.0.0.1:6379/0"
    assert (shown["QUANTLAKE_PORT"]["default"], shown["QUANTLAKE_PORT"]["origin"]) == (3000, "default")


@pytest.fixture
def logged_id(client):
    return client.post(PREDICT, json={"symbol": "KO", "horizon_sessions": 1}).json()["prediction_id"]


def test_an_operator_sees_latency_engines_and_receipt_from_the_log_and_from_the_table(client, own, logged_id):
    first = client.get(f"{PREDICTIONS}/{logged_id}").json()
    receipt = client.get(first["receipt"]).json()
    assert (first["stored_in"], first["kind"], first["symbol"]) == ("log", "served", "KO")
    assert first["latency_ms"] > 0
    for engine, read in zip(first["engines"], receipt["models"], strict=True):
        names = ("name", "version", "digest", "weight", "device", "provider", "threads")
        assert {name: engine[name] for name in names} == {name: read[name] for name in names}
    assert sum(engine["weight"] for engine in first["engines"]) == pytest.approx(1)
    drain(Lake.open(own), own)
    prune(Lake.open(own), own, datetime.now(UTC) + timedelta(days=3_650))
    again = client.get(f"{PREDICTIONS}/{logged_id}").json()
    assert again["stored_in"] == "table"
    assert again | {"stored_in": "log"} == first


def test_many_are_looked_up_at_once_and_unknown_ones_are_named(client, logged_id):
    ids = [logged_id, "0" * 32, "no id", logged_id]
    found = client.post(f"{PREDICTIONS}/batch", json={"prediction_ids": ids}).json()
    assert [each["prediction_id"] for each in found["predictions"]] == [logged_id]
    assert found["unknown"] == ["0" * 32, "no id"]
    assert client.get(f"{PREDICTIONS}/{'0' * 32}").json()["type"] == "/problems/unknown-prediction"
    assert client.post(f"{PREDICTIONS}/batch", json={"prediction_ids": ["x"] * 101}).status_code == 422
