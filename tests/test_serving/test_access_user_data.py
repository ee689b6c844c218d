"""What is stored about the holder of a key can be handed over, and deleted without a trace that leads back."""

import json
import uuid

import pytest

from lake.errors import UnknownNameError
from lake.store import Lake
from serving import audit
from serving.access import keys
from serving.forecast_log import ForecastLog, LogEntry, LogReader, drain, user_data
from serving.predict import Question
from serving.web.app import build_app
from support.clients import client_of

PREDICT, BATCH = "/api/v1/public/predict", "/api/v1/public/predict/batch"
WATCHED = "/api/v1/public/watchlist"
NAME = "Ada Lovelace, desk 7"


@pytest.fixture
def own(home, tmp_path):
    """The home's models and features, with keys and a forecast log of its own."""
    return home.settings.model_copy(update={"home": tmp_path / "home"})


@pytest.fixture
def client(predicting, own):
    with predicting(own) as predictor:
        yield client_of(build_app(predictor))


def asked_by(client, text):
    """Ids of forecasts asked for with a key, one alone and a batch."""
    headers = {"authorization": f"Bearer {text}"}
    one = client.post(PREDICT, json={"symbol": "AAPL", "horizon_sessions": 1}, headers=headers).json()
    many = client.post(BATCH, json={"symbols": ["KO", "GE"], "horizon_sessions": 5}, headers=headers).json()
    return [one["prediction_id"], *(answer["prediction_id"] for answer in many["predictions"])]


def bytes_of(own):
    return {path: path.read_bytes() for path in own.home.rglob("*") if path.is_file()}


def test_everything_about_a_key_is_handed_over_and_nothing_of_others(client, own):
    key, text = keys.create(own, NAME, "predict", "unlimited", by="tests")
    other, other_text = keys.create(own, "other", "operator", "unlimited", by="tests")
    mine = asked_by(client, text)
    theirs = asked_by(client, other_text)
    client.post("/api/v1/internal/models/reload", headers={"authorization": f"Bearer {text}"})
    for symbols, shown in ((["KO", "IBM"], text), (["GE"], other_text)):
        client.put(WATCHED, json={"symbols": symbols}, headers={"authorization": f"Bearer {shown}"})
    found = user_data.export(own, key.id, by="tests")
    assert found["watch_list"]["symbols"] == ["KO", "IBM"]
    assert (found["key"]["name"], found["key"]["id"], found["key"]["role"]) == (NAME, key.id, "predict")
    assert [one["forecast_id"] for one in found["forecasts"]] == mine
    assert [one["symbol"] for one in found["forecasts"]] == ["AAPL", "KO", "GE"]
    assert [row["what"] for row in found["audit"]] == ["key.create", "operator.request", "user_data.export"]
    said = json.dumps(found)
    assert not any(secret in said for secret in (key.digest, key.salt, other.id, other.who, *theirs))


def test_after_a_deletion_nothing_leads_back_to_the_holder(client, own):
    key, text = keys.create(own, NAME, "predict", "unlimited", by="tests")
    mine = asked_by(client, text)
    kept = asked_by(client, keys.create(own, "other", "predict", "unlimited", by="tests")[1])
    client.put(WATCHED, json={"symbols": ["KO"]}, headers={"authorization": f"Bearer {text}"})
    assert any(key.id in path.name for path in bytes_of(own))
    before = [path for path, content in bytes_of(own).items() if key.id.encode() in content]
    assert len(before) >= 2, "there is something to delete"
    done = user_data.delete(own, text, by="tests")
    assert done.forecasts == len(mine)
    assert done.audit_rows == 3
    for path, content in bytes_of(own).items():
        assert key.id.encode() not in content, path
        assert key.id not in str(path)
        assert NAME.encode() not in content, path
        assert key.salt.encode() not in content, path
    assert audit.verify(Lake.open(own)) == []
    log = LogReader(own)
    assert all(log.get(identifier) is not None for identifier in mine + kept), "forecasts stay; only who asked goes"
    assert client.post(PREDICT, headers={"authorization": f"Bearer {text}"}).status_code == 401
    with pytest.raises(UnknownNameError, match="no key"):
        user_data.export(own, key.id, by="tests")


def test_a_deletion_that_was_cut_off_is_finished_by_the_next(client, own, monkeypatch):
    key, text = keys.create(own, NAME, "predict", "unlimited", by="tests")
    asked_by(client, text)

    def die(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(keys, "forget", die)
        with pytest.raises(KeyboardInterrupt):
            user_data.delete(own, key.id, by="tests")
    assert keys.find(own, key.id).revoked_at is not None, "the key ends first"
    user_data.delete(own, key.id, by="tests")
    assert not any(key.id.encode() in content for content in bytes_of(own).values())
    assert audit.verify(Lake.open(own)) == []


def test_what_an_older_home_logged_is_asked_for_by_nobody(own):
    key, _ = keys.create(own, NAME, "predict", "unlimited", by="tests")
    assert user_data.export(own, key.id, by="tests")["forecasts"] == []
    assert user_data.delete(own, key.id, by="tests").forecasts == 0


@pytest.fixture
def log(own):
    opened = ForecastLog.open(own)
    yield opened
    opened.close()


def asked_late(log, template, key_id):
    row = template.row | {"forecast_id": uuid.uuid4().hex}
    log.write([LogEntry(row, template.answer, template.receipt, key_id)])


@pytest.fixture
def template(client):
    (answers,) = client.app.state.predictor.compute([Question(["AAPL"], 1)])
    return answers.entries[0]


@pytest.mark.parametrize("by", ["drain", "deletion"])
def test_what_was_under_way_when_a_key_was_deleted_is_forgotten_too(own, log, template, by):
    gone, kept, other = (keys.create(own, name, "predict", "unlimited", by="tests")[0] for name in ("a", "b", "c"))
    for key in (gone, kept):
        asked_late(log, template, key.id)
    assert user_data.delete(own, gone.id, by="tests").forecasts == 1
    asked_late(log, template, gone.id)
    if by == "drain":
        assert drain(Lake.open(own), own).details["answers"] == 3
    else:
        assert user_data.delete(own, other.id, by="tests").forecasts == 1
    assert not any(gone.id.encode() in content for content in bytes_of(own).values())
    assert len(user_data.export(own, kept.id, by="tests")["forecasts"]) == 1


def test_without_the_file_of_the_keys_nobody_is_taken_for_deleted(own, log, template):
    key, _ = keys.create(own, "a", "predict", "unlimited", by="tests")
    asked_late(log, template, key.id)
    held = keys.keys_path(own)
    away = held.rename(held.with_suffix(".away"))
    assert user_data.forget_unknown(own) == 0
    away.rename(held)
    assert len(user_data.export(own, key.id, by="tests")["forecasts"]) == 1
