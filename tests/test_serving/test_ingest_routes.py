"""The ingest routes over the real application: a request waits once, only operators leave one, the rest is refused."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from lake.ingest import forget_requests, ingest_bars, open_requests, start_requests
from lake.market import Market
from lake.settings import Settings
from lake.sources import GeneratedMarket
from lake.store import Lake
from serving.access import keys
from serving.deployment import Champions
from serving.web.app import build_app
from support.clients import client_of

INGEST = "/api/v1/internal/ingest"


@pytest.fixture
def own(tmp_path) -> Settings:
    Market("desk", "yahoo", first_year=2012, other_sources=("polygon", "generated")).write(tmp_path / "home")
    return Settings(home=tmp_path / "home", source=None)


@pytest.fixture
def client(predicting, own: Settings) -> Iterator[TestClient]:
    """A client of a service of that home; its models are those of no home, which no ingest route needs."""
    with predicting(own, champions=Champions(own)) as made:
        yield client_of(build_app(made))


def test_a_request_is_accepted_once_until_it_is_picked_up(client: TestClient, own: Settings) -> None:
    first = client.post(f"{INGEST}/polygon")
    assert first.status_code == 202
    again = client.post(f"{INGEST}/polygon").json()
    assert again == first.json()
    other = client.post(f"{INGEST}/yahoo").json()
    assert [each.id for each in open_requests(own)] == [again["id"], other["id"]]
    assert all(each.who for each in open_requests(own))
    start_requests(own)
    fresh = client.post(f"{INGEST}/polygon").json()
    assert fresh["id"] not in {again["id"], other["id"]}
    forget_requests(own, [again["id"], other["id"]])
    assert [(each.source, each.state) for each in open_requests(own)] == [("polygon", "pending")]


def test_an_unknown_source_is_answered_with_those_of_the_market(client: TestClient, own: Settings) -> None:
    refused = client.post(f"{INGEST}/polygone")
    assert (refused.status_code, refused.json()["type"]) == (404, "/problems/unknown-source")
    assert refused.json()["nearest"] == ["polygon"]
    refused = client.post(f"{INGEST}/packaged")
    assert "Known: generated, polygon, yahoo." in refused.json()["detail"]
    assert open_requests(own) == []


def test_the_status_tells_what_waits_and_what_was_answered_last(client: TestClient, own: Settings) -> None:
    now = datetime(2012, 12, 31, 21, tzinfo=UTC)
    source = GeneratedMarket.ending(symbols=2, sessions=5, until=now)
    ingest_bars(Lake.open(own), source, type("Clock", (), {"now": lambda _: now})())
    asked = client.post(f"{INGEST}/yahoo").json()
    said = client.get(f"{INGEST}/status").json()
    assert said["requests"] == [asked]
    by_name = {each["source"]: each for each in said["sources"]}
    assert sorted(by_name) == ["generated", "polygon", "yahoo"]
    assert (by_name["generated"]["outcome"], by_name["generated"]["rows"]) == ("answered", 15)
    assert (by_name["yahoo"]["outcome"], by_name["yahoo"]["received_at"]) == (None, None)


@pytest.mark.parametrize("role", ["read", "predict"])
def test_nobody_but_an_operator_leaves_a_request_or_sees_the_status(
    client: TestClient, own: Settings, role: str
) -> None:
    _, text = keys.create(own, role, role, "standard", by="tests")
    headers = {"authorization": f"Bearer {text}"}
    answers = [client.post(f"{INGEST}/yahoo", headers=headers), client.get(f"{INGEST}/status", headers=headers)]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert open_requests(own) == []
