"""The desk as its tables knew it at an instant: what pages show."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from lake.errors import UnknownNameError
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS, VOTES

if TYPE_CHECKING:
    from lake.spec import TableSpec
    from lake.store import LakeReader
    from serving.desk.journal import Row

NEWEST_FILLS = 50


@dataclass(frozen=True)
class DeskRecord:
    """An account of the desk as known at an instant.

    Parameters
    ----------
    account
        Which one.
    equity
        Rows of `equity`, the oldest first; at least one.
    positions
        At the last of them.
    decisions
        Of the newest close that was decided at, those that trade first.
    orders
        Newest state of the orders of those decisions.
    fills
        The newest ones, the newest first.
    """

    account: str
    equity: "list[Row]"
    positions: "list[Row]"
    decisions: "list[Row]"
    orders: "list[Row]"
    fills: "list[Row]"


@dataclass(frozen=True)
class DecisionRecord:
    """One decision as known at an instant.

    Parameters
    ----------
    decision, votes
        Its row, and every vote, the heaviest first.
    orders, fills
        What became of its order by then.
    """

    decision: "Row"
    votes: "list[Row]"
    orders: "list[Row]"
    fills: "list[Row]"


def desk_records(lake: "LakeReader", at: datetime) -> list[DeskRecord]:
    """Return every account that had traded a session by an instant; none where there is none."""
    equity = _known(lake, EQUITY, at)
    found = []
    for name in equity["account"].unique().sort():
        own = pl.col("account") == name
        path = equity.filter(own).sort("event_time")
        decided = _known(lake, DECISIONS, at, own)
        newest = decided.filter(pl.col("event_time") == pl.col("event_time").max())
        newest = newest.sort(pl.col("quantity") == 0, "symbol")
        last = pl.col("event_time") == path["event_time"][-1]
        orders = _known(lake, ORDERS, at, pl.col("decision_id").is_in(newest["decision_id"].to_list()))
        fills = _known(lake, FILLS, at, own).sort("event_time", "fill_id", descending=[True, False])
        found.append(
            DeskRecord(
                name,
                path.to_dicts(),
                _known(lake, POSITIONS, at, own & last).sort("symbol").to_dicts(),
                newest.to_dicts(),
                orders.sort("sequence").group_by("order_id", maintain_order=True).last().to_dicts(),
                fills.head(NEWEST_FILLS).to_dicts(),
            )
        )
    return found


def decision_record(lake: "LakeReader", at: datetime, decision_id: str) -> DecisionRecord:
    """Return one decision with all its votes.

    Raises
    ------
    UnknownNameError
        If none of that identifier was known.
    """
    own = pl.col("decision_id") == decision_id
    rows = _known(lake, DECISIONS, at, own).to_dicts()
    if not rows:
        raise UnknownNameError("decision", decision_id, [])
    votes = _known(lake, VOTES, at, own).sort(pl.col("kind") == "rule", -pl.col("weight"), "source")
    if (order_id := rows[0]["order_id"]) is None:
        return DecisionRecord(rows[0], votes.to_dicts(), [], [])
    order = pl.col("order_id") == order_id
    return DecisionRecord(
        rows[0],
        votes.to_dicts(),
        _known(lake, ORDERS, at, order).sort("sequence").to_dicts(),
        _known(lake, FILLS, at, order).sort("event_time").to_dicts(),
    )


def decisions_about(lake: "LakeReader", at: datetime, symbol: str, close: datetime) -> list[DecisionRecord]:
    """Return what every account decided about a symbol at a close, by account; none where nothing was decided.

    Parameters
    ----------
    at
        Instant by which it was known.
    close
        That the decisions knew.
    """
    own = (pl.col("symbol") == symbol) & (pl.col("event_time") == close)
    rows = _known(lake, DECISIONS, at, own).sort("account")
    return [decision_record(lake, at, decision_id) for decision_id in rows["decision_id"]]


def _known(lake: "LakeReader", spec: "TableSpec", at: datetime, where: pl.Expr | None = None) -> pl.DataFrame:
    return lake.read_as_of(spec, at, where=where) if lake.exists(spec) else spec.empty()
