"""Decisions, and the events of a broker, as rows of the desk's tables."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from lake.errors import ConflictError
from lake.execution import Fill, Order, OrderState
from lake.spec import TableSpec
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS, POSITIONS
from serving.desk.broker import BrokerEvent, BrokerStatement
from serving.desk.journal import DeskJournal, Row

if TYPE_CHECKING:
    from serving.desk.account import DeskAccount
    from serving.desk.deciding import DeskDecision
    from serving.desk.situation import DeskSituation

Rows = list[tuple[TableSpec, Row]]
ROUNDING = 1e-9


def decision_rows(book: "DeskSituation", decision: "DeskDecision", content: str, seal: str) -> tuple[Row, list[Row]]:
    """Return the row of a decision, and one row for each of its votes: those that lost are among them."""
    same = {
        "decision_id": decision.decision_id,
        "symbol": decision.symbol,
        "event_time": book.close,
        "known_time": book.decided_at,
    }
    own = same | {
        "account": book.account,
        "action": decision.action,
        "wanted": decision.wanted,
        "target": decision.target,
        "equal_weight_target": decision.equal_weight_target,
        "held": book.held,
        "quantity": decision.quantity,
        "decided_by": decision.decided_by,
        "reason": decision.reason,
        "order_id": None if decision.order is None else decision.order.order_id,
        "content": content,
        "seal": seal,
    }
    votes = [
        same
        | {
            "source": each.vote.source,
            "kind": each.vote.kind,
            "vote": each.vote.target,
            "confidence": each.vote.confidence,
            "weight": each.weight,
            "expires_at": each.vote.expires_at,
            "version": each.vote.version,
            "reason": each.vote.reason,
            "overruled_by": each.overruled_by or None,
        }
        for each in decision.votes
    ]
    return own, votes


def order_row(
    order: Order, decision_id: str, at: datetime, now: datetime, sequence: int, status: str, reason: str = ""
) -> Row:
    """Return a change of an order as a row of `orders`, with nothing filled."""
    return {
        "order_id": order.order_id,
        "sequence": sequence,
        "account": order.account,
        "decision_id": decision_id,
        "symbol": order.symbol,
        "event_time": at,
        "known_time": now,
        "side": "buy" if order.is_buy else "sell",
        "kind": order.kind,
        "quantity": order.quantity,
        "filled": 0.0,
        "limit_price": order.limit_price,
        "stop_price": order.stop_price,
        "time_in_force": order.time_in_force,
        "is_reduce_only": order.is_reduce_only,
        "status": status,
        "reason": reason,
        "parent_id": order.parent_id,
    }


def rows_of_events(
    journal: DeskJournal,
    account: "DeskAccount",
    events: Sequence[BrokerEvent],
    null: Mapping[datetime, BrokerStatement],
    now: datetime,
    venue: str,
) -> Rows:
    """Return what a broker reports as rows.

    Parameters
    ----------
    events
        Since the last ones that were written down.
    null
        Statements of the account that holds 1/N, by session.
    venue
        Name of the broker.

    Raises
    ------
    ConflictError
        If the broker reports an order that the desk never wrote down, or its positions are not what the fills made of
        those before.
    """
    return _EventRows(journal, account, null, now, venue).of(events)


class _EventRows:
    """Rows of a batch of events; what one needs to know of those before it."""

    def __init__(
        self,
        journal: DeskJournal,
        account: "DeskAccount",
        null: Mapping[datetime, BrokerStatement],
        now: datetime,
        venue: str,
    ) -> None:
        self._journal, self._account, self._null, self._now, self._venue = journal, account, null, now, venue
        self._newest: dict[str, Row] = {}
        self._fills: dict[str, float] = {}
        past = journal.rows(EQUITY, account.name)
        self._peak = max((row["equity"] for row in past), default=account.capital)
        last = journal.rows(POSITIONS, account.name, past[-1]["event_time"]) if past else []
        self._held = {row["symbol"]: row["quantity"] for row in last}

    def of(self, events: Sequence[BrokerEvent]) -> Rows:
        rows: Rows = []
        for event in events:
            if event.fill is not None:
                rows.append((FILLS, self._fill(event.fill)))
            elif event.state is not None:
                rows.append((ORDERS, self._state(event.state, event.at)))
            elif event.statement is not None:
                rows += self._statement(event.at, event.statement)
        return rows

    def _known(self, order_id: str) -> Row:
        if order_id not in self._newest:
            row = self._journal.last_row(ORDERS, order_id)
            if row is None:
                raise ConflictError(
                    f"The broker reports the order '{order_id}', which the desk never wrote down. Nothing is traded "
                    "until that is explained: `quantlake desk reconcile` compares the two."
                )
            self._newest[order_id] = row
        return self._newest[order_id]

    def _state(self, state: OrderState, at: datetime) -> Row:
        before = self._known(state.order.order_id)
        row = order_row(
            state.order, before["decision_id"], at, self._now, before["sequence"] + 1, state.status, state.reason
        )
        self._newest[state.order.order_id] = row | {"filled": state.filled}
        return self._newest[state.order.order_id]

    def _fill(self, fill: Fill) -> Row:
        decided = self._journal.row(DECISIONS, self._known(fill.order_id)["decision_id"])
        assert decided is not None
        self._fills[fill.symbol] = self._fills.get(fill.symbol, 0.0) + fill.quantity
        return {
            "fill_id": fill.fill_id,
            "order_id": fill.order_id,
            "account": self._account.name,
            "symbol": fill.symbol,
            "event_time": fill.bar_time,
            "known_time": self._now,
            "decided_at": decided["event_time"],
            "quantity": fill.quantity,
            "price": fill.price,
            "fee": fill.fee,
            "spread": fill.spread,
            "slippage": fill.slippage,
            "impact": fill.impact,
            "venue": self._venue,
        }

    def _statement(self, at: datetime, statement: BrokerStatement) -> Rows:
        self._check(at, statement)
        worth, book = statement.valuation, statement.book
        null = self._null[at]
        self._peak = max(self._peak, worth.equity)
        equity = {
            "account": self._account.name,
            "event_time": at,
            "known_time": self._now,
            "cash": worth.cash,
            "positions_value": worth.positions_value,
            "equity": worth.equity,
            "costs": book.costs,
            "realised": book.realised,
            "gross": worth.gross / worth.equity if worth.equity > 0 else 0.0,
            "net": worth.positions_value / worth.equity if worth.equity > 0 else 0.0,
            "drawdown": max(1 - worth.equity / self._peak, 0.0),
            "equal_weight_equity": null.valuation.equity,
            "equal_weight_costs": null.book.costs,
        }
        rows: Rows = [(EQUITY, equity)]
        for symbol, held in sorted(book.positions.items()):
            price = statement.closes[symbol]
            row = {
                "account": self._account.name,
                "symbol": symbol,
                "event_time": at,
                "known_time": self._now,
                "quantity": held.quantity,
                "average_cost": held.average_cost,
                "price": price,
                "unrealised": held.quantity * (price - held.average_cost),
            }
            rows.append((POSITIONS, row))
        return rows

    def _check(self, at: datetime, statement: BrokerStatement) -> None:
        """Refuse a statement whose positions are not those before with the fills since: one was lost, or came twice."""
        splits = {change.symbol: change.amount for change in statement.changes if change.kind == "split"}
        ended = {change.symbol for change in statement.changes if change.kind in {"delisted", "merged"}}
        symbols = {*self._held, *self._fills, *statement.book.positions}
        for symbol in sorted(symbols):
            made = self._held.get(symbol, 0.0) * splits.get(symbol, 1.0) + self._fills.get(symbol, 0.0)
            expected = 0.0 if symbol in ended else made
            found = statement.book.quantity(symbol)
            if not math.isclose(expected, found, rel_tol=ROUNDING, abs_tol=ROUNDING * max(abs(made), 1.0)):
                raise ConflictError(
                    f"At {at:%Y-%m-%d %H:%M} UTC the broker says that {found:g} shares of {symbol} are held, and the "
                    f"fills that the desk knows make {expected:g}. Nothing is traded until that is explained: "
                    "`quantlake desk reconcile` compares fill by fill."
                )
        self._held = {symbol: position.quantity for symbol, position in statement.book.positions.items()}
        self._fills = {}
