"""What is shown of a desk: its accounts, and one decision with all its votes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lake.errors import UnknownNameError
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS, VOTES
from serving.desk.attribution import Attribution, attribute
from serving.desk.journal import Row, newest_states
from serving.desk.receipt import DecisionReplay, replay_receipt
from serving.desk.session import journal_of, recorded_bars

if TYPE_CHECKING:
    from lake.settings import Settings
    from lake.store import Lake
    from serving.desk.account import DeskAccount

OPEN = frozenset({"intended", "held", "working", "partly_filled"})


@dataclass(frozen=True)
class DeskView:
    """An account as it stands.

    Parameters
    ----------
    account
        Its terms.
    equity
        Newest row of `equity`, 1/N beside it; None before its first session.
    positions, orders, fills
        Positions at that close; orders that are open, and fills of the newest session that had any.
    decisions
        Of the newest close that was decided at.
    attribution
        What earned the result.
    """

    account: "DeskAccount"
    equity: Row | None
    positions: list[Row]
    orders: list[Row]
    fills: list[Row]
    decisions: list[Row]
    attribution: Attribution


@dataclass(frozen=True)
class ExplainedDecision:
    """One decision with all its votes, the losing ones too, and what its order came to.

    Parameters
    ----------
    decision
        Row of `decisions`.
    votes, orders, fills
        Rows about it.
    """

    decision: Row
    votes: list[Row]
    orders: list[Row]
    fills: list[Row]


def desk_views(lake: "Lake", configured: "Settings") -> list[DeskView]:
    """Return every account as it stands; none where no account is open."""
    journal = journal_of(configured)
    views = []
    for account in journal.accounts():
        equity = journal.last_row(EQUITY, account.name)
        at = None if equity is None else equity["event_time"]
        last = journal.last_row(DECISIONS, account.name)
        fills = [row for row in journal.rows(FILLS) if row["account"] == account.name]
        orders = [row for row in newest_states(journal.rows(ORDERS)).values() if row["account"] == account.name]
        views.append(
            DeskView(
                account,
                equity,
                journal.rows(POSITIONS, account.name, at) if at else [],
                [dict(row) for row in orders if row["status"] in OPEN],
                [row for row in fills if row["event_time"] == fills[-1]["event_time"]],
                journal.rows(DECISIONS, account.name, last["event_time"]) if last else [],
                attribute(journal, account, recorded_bars(lake, configured, account)),
            )
        )
    return views


def explained(configured: "Settings", decision_id: str) -> ExplainedDecision:
    """Return one decision with all its votes.

    Raises
    ------
    UnknownNameError
        If there is none of that identifier; it names some that there are.
    """
    journal = journal_of(configured)
    row = _decision(configured, decision_id)
    orders = journal.rows(ORDERS, row["order_id"]) if row["order_id"] else []
    fills = journal.rows(FILLS, row["order_id"]) if row["order_id"] else []
    return ExplainedDecision(row, journal.rows(VOTES, decision_id), orders, fills)


def replay_decision(configured: "Settings", decision_id: str) -> DecisionReplay:
    """Make a decision again from its receipt, and compare the two bit by bit.

    Raises
    ------
    UnknownNameError
        If there is none of that identifier.
    SchemaError
        If its receipt cannot be read.
    """
    row = _decision(configured, decision_id)
    return replay_receipt(decision_id, row["content"], row["seal"])


def _decision(configured: "Settings", decision_id: str) -> dict[str, Any]:
    journal = journal_of(configured)
    row = journal.row(DECISIONS, decision_id)
    if row is None:
        raise UnknownNameError("decision", decision_id, [each["decision_id"] for each in journal.rows(DECISIONS)])
    return row
