"""One session of the desk: reconcile with the broker, take in what happened, decide, and send orders."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lake import calendars
from lake.disk import file_lock
from lake.errors import ConflictError, NotReadyError
from lake.execution import Order, TradedBar
from lake.spec import TableSpec
from lake.tables import DECISIONS, EQUITY, ORDERS, VOTES
from serving.desk.account import DeskAccount
from serving.desk.broker import Broker, BrokerStatement
from serving.desk.deciding import DeskDecision, DeskLimits, decide
from serving.desk.gathering import DeskMarket, inputs_of, read_market
from serving.desk.guarding import ORDERS_A_SECOND, guard_of
from serving.desk.journal import DeskJournal, Row, newest_states
from serving.desk.receipt import DecisionInputs, inputs_in, receipt_of
from serving.desk.recording import decision_rows, order_row, rows_of_events
from serving.desk.rules import DeskRules
from serving.desk.simulated import SimulatedBroker
from serving.desk.sqlite import BROKER_FILE, JOURNAL_FILE, LOCK_FILE
from serving.desk.stream import BarStream
from serving.desk.votes import Vote
from serving.risk import read_latch

if TYPE_CHECKING:
    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake
    from serving.risk import RiskGuard

STRATEGY_NAME = "desk"
"""Under which name the risk gate and the switch know the orders of the desk."""


@dataclass(frozen=True)
class DeskRun:
    """What one run of the desk did.

    Parameters
    ----------
    account
        Which one.
    close
        Close that was decided at.
    events
        Events of the broker that were taken in.
    decisions, orders, stopped
        Decisions that were made, orders that were sent, and orders that the risk gate kept back.
    resent
        Orders that an earlier run had written down and not sent, and that were sent now.
    reason
        Why nothing was decided; empty where something was.
    without_advice
        Why advice did not vote on some symbols; empty where it did.
    seconds
        On the wall.
    """

    account: str
    close: datetime
    events: int = 0
    decisions: int = 0
    orders: int = 0
    stopped: int = 0
    resent: int = 0
    reason: str = ""
    without_advice: str = ""
    seconds: float = 0.0


class PaperDesk:
    """The desk of one account, with its journal and its broker.

    Parameters
    ----------
    lake
        Tables of votes and bars.
    configured
        Where the home is.
    clock
        Of the market.
    account
        Which one.
    broker
        Where orders go; the simulated one by default.
    """

    def __init__(
        self, lake: "Lake", configured: "Settings", clock: "Clock", account: DeskAccount, broker: Broker | None = None
    ) -> None:
        self.lake, self.configured, self.account = lake, configured, account
        self.now = clock.now()
        self.journal = journal_of(configured)
        self.broker = broker or simulated_broker(lake, configured, self.now, account)

    def run(self) -> DeskRun:
        """Run the desk once for the newest close; a close that was decided at is not decided at again.

        Sessions that were missed are traded through and not decided: a decision in hindsight is none.
        """
        started = time.perf_counter()
        close = calendars.last_close(self.now - self.lake.market.decided_after, self.lake.market.grid)
        if close is None:
            raise NotReadyError("The market has no session yet.")
        with file_lock(self.configured.home / LOCK_FILE, "The desk"):
            done = DeskRun(self.account.name, close)
            resent = self.reconcile_orders(close)
            events = self.take_events()
            done = replace(done, events=events, resent=resent)
            self._finish_equal_weight(close)
            why = self._why_not(close)
            done = replace(done, reason=why) if why else self._decide(done)
            return replace(done, seconds=time.perf_counter() - started)

    def reconcile_orders(self, close: datetime) -> int:
        """Settle every order that was written down and not seen at the broker, before anything is traded.

        What the broker knows was sent: its events tell the rest. What it does not know is sent now, under the same
        identifier, if its decision is of the newest close, and is `unsent` for good otherwise.

        Returns
        -------
        int
            Orders that were sent now.
        """
        own = [row for row in self.journal.rows(ORDERS) if row["account"] == self.account.name]
        open_intents = [row for row in newest_states(own).values() if row["status"] == "intended"]
        if not open_intents:
            return 0
        known, resent = self.broker.known_orders(self.account.name), 0
        for row in open_intents:
            if row["order_id"] in known:
                continue
            decided = self.journal.row(DECISIONS, row["decision_id"])
            if decided is not None and decided["event_time"] == close:
                resent += self._send_again(decided)
            else:
                reason = "the desk stopped before it was sent, and its session is over"
                self._note(row, "unsent", reason)
        return resent

    def take_events(self) -> int:
        """Take in what happened at the broker since the last time, each event once."""
        last = self.journal.last_event(self.account.name)
        events = self.broker.events(self.account.name, last)
        if not events:
            return 0
        null = {}
        for event in events:
            if event.statement is not None:
                found = self.broker.statement(self.account.equal_weight, event.at)
                assert found is not None
                null[event.at] = found[1]
        rows = rows_of_events(self.journal, self.account, events, null, self.now, self.broker.name)
        self.journal.write(rows, account=self.account.name, event=events[-1].sequence)
        return len(events)

    def preview(self) -> list[DeskDecision]:
        """Return what would be decided at the newest close, with nothing written down and nothing sent."""
        statement, market = self._ready()
        newest = calendars.last_close(self.now - self.lake.market.decided_after, self.lake.market.grid)
        if market.close != newest:
            raise NotReadyError(
                f"The account stands at the close of {market.close:%Y-%m-%d %H:%M} UTC, and the newest is "
                f"{newest:%Y-%m-%d %H:%M} UTC. `quantlake desk decide` trades the sessions between and decides."
            )
        made = inputs_of(self.account, market, statement, read_latch(self.configured.home), self.lake.market.grid)
        return [each.decide() for each in made]

    def _why_not(self, close: datetime) -> str:
        if self.journal.rows(DECISIONS, self.account.name, close):
            return f"the close of {close:%Y-%m-%d %H:%M} UTC was decided at already"
        statement = self.broker.statement(self.account.name)
        if statement is None or statement[0] != close:
            at = "nothing" if statement is None else f"the close of {statement[0]:%Y-%m-%d %H:%M} UTC"
            return f"the bars of {close:%Y-%m-%d %H:%M} UTC are not there yet: the account stands at {at}"
        return ""

    def _ready(self) -> tuple[BrokerStatement, DeskMarket]:
        found = self.broker.statement(self.account.name)
        if found is None:
            raise NotReadyError("The account has no statement yet. `quantlake desk decide` trades its first session.")
        close, statement = found
        market = read_market(self.lake, close, self.now, statement.valuation.equity, self.configured.home)
        return statement, market

    def _decide(self, done: DeskRun) -> DeskRun:
        try:
            statement, market = self._ready()
        except NotReadyError as error:
            return replace(done, reason=str(error))
        switch = read_latch(self.configured.home)
        made = inputs_of(self.account, market, statement, switch, self.lake.market.grid)
        decided = [(each, each.decide()) for each in made]
        self.journal.write(self._rows_of(decided))
        self._trade_equal_weight(made)
        equity = self.journal.rows(EQUITY, self.account.name)
        guard = guard_of(self.configured, self.account, market, statement, equity)
        orders = [decision.order for _, decision in decided if decision.order is not None]
        sent = self._send(orders, guard)
        return replace(
            done,
            events=done.events + self.take_events(),
            decisions=len(decided),
            orders=sent,
            stopped=len(orders) - sent,
            without_advice=market.without_advice,
        )

    def _rows_of(self, decided: Sequence[tuple[DecisionInputs, DeskDecision]]) -> list[tuple[TableSpec, Row]]:
        rows: list[tuple[TableSpec, Row]] = []
        for inputs, decision in decided:
            content, seal = receipt_of(inputs, decision)
            own, votes = decision_rows(inputs.book, decision, content, seal)
            rows.append((DECISIONS, own))
            rows += [(VOTES, vote) for vote in votes]
            if decision.order is not None:
                row = order_row(decision.order, decision.decision_id, self.now, self.now, 1, "intended")
                rows.append((ORDERS, row))
        return rows

    def _send(self, orders: Sequence[Order], guard: "RiskGuard") -> int:
        """Send orders through the risk gate, sales first: what they free is there for the purchases."""
        sent = 0
        for place, order in enumerate(sorted(orders, key=lambda each: (each.is_buy, each.order_id))):
            sent += self._send_one(order, guard, self.now.timestamp() + place / ORDERS_A_SECOND)
        return sent

    def _send_one(self, order: Order, guard: "RiskGuard", at: float) -> int:
        verdict = guard.submit(order, at, strategy=STRATEGY_NAME)
        last = self.journal.last_row(ORDERS, order.order_id)
        assert last is not None
        if verdict.action == "refuse":
            self._note(last, "stopped", f"{verdict.limit}: {verdict.reason}")
            return 0
        if verdict.action == "shrink" or verdict.is_reduce_only:
            is_reduce_only = order.is_reduce_only or verdict.is_reduce_only
            order = replace(order, quantity=verdict.quantity, is_reduce_only=is_reduce_only)
        self.broker.submit(order, self.now)
        return 1

    def _send_again(self, decided: Row) -> int:
        found = self.broker.statement(self.account.name)
        order = inputs_in(decided["content"]).decide().order
        if found is None or order is None:
            return 0
        market = read_market(self.lake, found[0], self.now, found[1].valuation.equity, self.configured.home)
        equity = self.journal.rows(EQUITY, self.account.name)
        guard = guard_of(self.configured, self.account, market, found[1], equity)
        return self._send_one(order, guard, self.now.timestamp())

    def _note(self, row: Mapping[str, Any], status: str, reason: str) -> None:
        """Write a change of an order that is the desk's own, not the broker's."""
        changed = {"sequence": row["sequence"] + 1, "status": status, "reason": reason}
        self.journal.write([(ORDERS, dict(row) | changed | {"event_time": self.now, "known_time": self.now})])

    def _finish_equal_weight(self, close: datetime) -> None:
        """Send what 1/N did not send because a run was cut off after its decisions were written down."""
        found = self.broker.statement(self.account.equal_weight)
        decided = self.journal.rows(DECISIONS, self.account.name, close)
        if decided and found is not None and found[0] == close:
            self._trade_equal_weight([inputs_in(row["content"]) for row in decided])

    def _trade_equal_weight(self, made: Sequence[DecisionInputs]) -> None:
        """Let 1/N trade beside: the same closes, lots, least trades and costs; no rule and no switch stops it."""
        name = self.account.equal_weight
        found = self.broker.statement(name)
        if found is None:
            raise ConflictError(f"The broker has no statement of '{name}', the account that holds 1/N.")
        statement = found[1]
        known = self.broker.known_orders(name)
        for order in equal_weight_orders(name, made, statement, self.account.limits):
            if order.order_id not in known:
                self.broker.submit(order, self.now)


def equal_weight_orders(
    name: str, made: Sequence[DecisionInputs], statement: BrokerStatement, limits: DeskLimits
) -> list[Order]:
    """Return the orders of 1/N at a close, from the same engine with one vote and no rules."""
    orders = []
    bounds = replace(limits, largest_position=1.0)
    for inputs in made:
        own = inputs.book
        held = statement.book.positions.get(own.symbol)
        book = replace(
            own,
            account=name,
            held=held.quantity if held else 0.0,
            average_cost=held.average_cost if held else 0.0,
            equity=statement.valuation.equity,
            gross_wanted=0.0,
            switch="active",
            switch_reason="",
        )
        expires = max((each.expires_at for each in inputs.votes), default=own.decided_at)
        vote = Vote("strategy:equal_weight", "strategy", own.equal_weight_target, 0.5, expires, "1/N", "1/N")
        rules = DeskRules(stop_loss=None, most_stale_sessions=inputs.rules.most_stale_sessions)
        order = decide([vote], book, rules, bounds, {vote.source: 1.0}).order
        if order is not None:
            orders.append(order)
    return orders


def journal_of(configured: "Settings") -> DeskJournal:
    """Return the journal of a home."""
    return DeskJournal(configured.home / JOURNAL_FILE)


def simulated_broker(lake: "Lake", configured: "Settings", now: datetime, account: DeskAccount) -> SimulatedBroker:
    """Return the simulated broker of a home, with the accounts of the desk and of 1/N open."""
    broker = SimulatedBroker(configured.home / BROKER_FILE, BarStream(lake, now, account.declared_daily_value))
    for name in (account.name, account.equal_weight):
        broker.open_account(name, account.capital, account.costs, account.opened)
    return broker


def recorded_bars(lake: "Lake", configured: "Settings", account: DeskAccount) -> list[tuple[datetime, list[TradedBar]]]:
    """Return the stream that the simulated broker of a home has played since an account was opened."""
    recorded = simulated_broker(lake, configured, account.opened, account).recorded()
    return [(session, bars) for session, bars in recorded if session > account.opened]
