"""The paper desk: nothing lost, nothing twice, nothing known too early, and equal to a back-test to the last bit."""

from lake.clock import FixedClock
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS, VOTES
from serving.desk import attribute, journal_of, reconcile_desk, recorded_bars, replay_receipt
from support.backtests import SYMBOLS, closes_of


def test_a_backtest_over_the_paper_period_has_the_same_fills_to_the_last_bit(ran):
    found = reconcile_desk(ran.lake, ran.settings, FixedClock(closes_of(ran.lake)[-1]), ran.account, with_tables=True)
    assert found.differences == ()
    assert found.restated == ()
    assert found.fills > 15
    assert (found.sessions, found.decisions) == (8, 8 * len(SYMBOLS))


def test_no_fill_lies_in_a_bar_that_its_decision_knew(ran):
    closes = closes_of(ran.lake)
    fills = journal_of(ran.settings).rows(FILLS)
    for fill in fills:
        assert fill["event_time"] == closes[closes.index(fill["decided_at"]) + 1]


def test_every_vote_is_stored_with_who_overruled_it(ran):
    journal = journal_of(ran.settings)
    sources = {"strategy:naive", "strategy:buy_and_hold", "strategy:ridge", "rule:stop", "rule:earnings_blackout"}
    for row in journal.rows(DECISIONS):
        votes = {each["source"]: each for each in journal.rows(VOTES, row["decision_id"])}
        assert sources <= set(votes)
        if row["action"] != "hold":
            assert votes["strategy:naive"]["overruled_by"] or row["held"] != 0
    assert any(each["overruled_by"] for each in journal.rows(VOTES))
    assert "no earnings calendar" in votes["rule:earnings_blackout"]["reason"]


def test_every_row_of_equity_has_one_over_n_beside_it_and_adds_up(ran):
    journal = journal_of(ran.settings)
    rows = journal.rows(EQUITY)
    assert len(rows) == 8
    for row in rows:
        held = journal.rows(POSITIONS, "paper", row["event_time"])
        value = sum(each["quantity"] * each["price"] for each in held)
        assert row["equity"] == row["cash"] + row["positions_value"]
        assert abs(value - row["positions_value"]) < 1e-6
        assert row["equal_weight_equity"] > 0
    assert rows[-1]["equal_weight_equity"] != rows[0]["equal_weight_equity"]


def test_the_lines_of_the_attribution_add_up_to_the_result_exactly(ran):
    journal = journal_of(ran.settings)
    found = attribute(journal, ran.account, recorded_bars(ran.lake, ran.settings, ran.account))
    assert sum(found.lines.values()) - found.costs == found.result
    assert float(found.result) == journal.rows(EQUITY)[-1]["equity"] - ran.account.capital
    assert {"strategy:ridge", "strategy:buy_and_hold", "rules and limits", "execution"} <= set(found.lines)


def test_stored_decisions_are_made_again_bit_by_bit(ran):
    for row in journal_of(ran.settings).rows(DECISIONS):
        found = replay_receipt(row["decision_id"], row["content"], row["seal"])
        assert (found.verdict, found.is_same_code) == ("equal", True)


def test_every_order_ends_filled_or_with_a_reason(ran):
    newest = {row["order_id"]: row for row in journal_of(ran.settings).rows(ORDERS)}
    last = closes_of(ran.lake)[37]
    decided = {row["order_id"]: row["event_time"] for row in journal_of(ran.settings).rows(DECISIONS)}
    for order_id, row in newest.items():
        is_waiting = decided[order_id] == last and row["status"] in {"intended", "working"}
        assert is_waiting or row["status"] in {"filled", "stopped", "expired", "cancelled", "refused"}
        assert is_waiting or row["status"] == "filled" or row["reason"]
