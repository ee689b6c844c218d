"""Pages of the desk: what is stored, 1/N beside it, every vote, and nothing that came later."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from lake.tables import DECISIONS, EQUITY, VOTES
from serving.desk import decision_record, decisions_about, desk_records, drain_desk, journal_of
from serving.pages.app import build_dashboard
from support.backtests import closes_of
from support.dashboard import Page, log_in, log_in_as_owner, visiting


@pytest.fixture(scope="module")
def visitor(ran) -> Iterator[TestClient]:
    drain_desk(ran.lake, journal_of(ran.settings))
    with visiting(build_dashboard(ran.settings), ran.settings) as client:
        log_in_as_owner(client, ran.settings)
        yield client


def page(visitor: TestClient, path: str, status: int = 200) -> Page:
    answer = visitor.get(path)
    assert answer.status_code == status, answer.text
    return Page(answer.text)


def test_the_page_has_the_equity_of_the_account_and_of_one_over_n(visitor, ran):
    rows = journal_of(ran.settings).rows(EQUITY)
    found = page(visitor, "/desk")
    shown = found.rows("Equity at each close, the newest first")
    assert len(shown) == len(rows)
    assert shown[0][1:3] == [f"{rows[-1]['equity']:,.0f}", f"{rows[-1]['equal_weight_equity']:,.0f}"]
    links = [link.get("href") for link in found.all("a")]
    newest = journal_of(ran.settings).rows(DECISIONS)[-1]
    assert f"/desk/{newest['decision_id']}" in links


def test_a_decision_has_every_vote_with_who_overruled_it(visitor, ran):
    lost = next(row for row in journal_of(ran.settings).rows(VOTES) if row["overruled_by"])
    shown = page(visitor, f"/desk/{lost['decision_id']}").rows("Votes")
    votes = journal_of(ran.settings).rows(VOTES, lost["decision_id"])
    assert len(shown) == len(votes)
    (own,) = [each for each in shown if each[0] == lost["source"]]
    assert own[4] == lost["overruled_by"]
    page(visitor, "/desk/paper.20120101T2100.XXX", 404)


def test_looking_back_shows_nothing_that_came_later(visitor, ran):
    early = closes_of(ran.lake)[32]
    (found,) = desk_records(ran.lake, early)
    assert [row["event_time"] for row in found.equity][-1] == early
    assert all(row["event_time"] <= early for row in (*found.fills, *found.decisions, *found.orders))
    shown = page(visitor, f"/desk?as_of={early:%Y-%m-%d}").rows("Equity at each close, the newest first")
    assert len(shown) == 3
    before = closes_of(ran.lake)[29]
    assert "No account had traded" in page(visitor, f"/desk?as_of={before:%Y-%m-%d}").text(id="main")
    decided = decision_record(ran.lake, early, found.decisions[0]["decision_id"])
    assert {row["status"] for row in decided.orders} <= {"intended", "working"}
    assert decided.fills == []


def test_decisions_about_a_symbol_and_close_have_every_vote_and_are_not_known_before(visitor, ran):
    del visitor  # it drains the desk
    row = journal_of(ran.settings).rows(DECISIONS)[-1]
    close = row["event_time"]
    (found,) = decisions_about(ran.lake, row["known_time"], row["symbol"], close)
    assert found.decision["decision_id"] == row["decision_id"]
    votes = journal_of(ran.settings).rows(VOTES, row["decision_id"])
    assert {each["source"] for each in found.votes} == {each["source"] for each in votes}
    assert decisions_about(ran.lake, row["known_time"] - timedelta(microseconds=1), row["symbol"], close) == []
    assert decisions_about(ran.lake, row["known_time"], row["symbol"], close - timedelta(minutes=1)) == []


def test_who_may_only_read_sees_no_orders(ran):
    from serving.access import keys

    reader = keys.create(ran.settings, "reader", "read", "unlimited", by="t")[1]
    with visiting(build_dashboard(ran.settings), ran.settings) as client:
        log_in(client, reader)
        assert client.get("/desk").status_code == 403
        assert "/desk" not in [link.get("href") for link in page(client, "/about").all("a")]
