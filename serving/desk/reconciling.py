"""Reconciliation: a back-test over the paper period on the recorded stream against the desk, fill by fill.

The back-test begins with the cash of the account and nothing else. At every close that the desk decided at, it makes
each decision again from the recorded votes, rules and weights and from its own book, and its orders trade in one run
through the recorded bars. What came from outside is taken as recorded: the votes, the state of the switch, and what the
risk gate cut or kept back. Where the desk did what it says, every fill is the same to the last bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from lake.execution import Book, Fill, Order, SimulatedVenue, TradedBar, VenueState
from lake.tables import DECISIONS, EQUITY, FILLS, ORDERS
from serving.desk.account import DeskAccount
from serving.desk.broker import BrokerStatement
from serving.desk.journal import DeskJournal, Row
from serving.desk.receipt import inputs_in
from serving.desk.session import equal_weight_orders, journal_of, recorded_bars
from serving.desk.stream import BarStream

if TYPE_CHECKING:
    from lake.clock import Clock
    from lake.settings import Settings
    from lake.store import Lake

Kind = Literal["price", "time", "quantity", "cost", "missing", "surplus", "decision", "equity"]
COSTS = ("fee", "spread", "slippage", "impact")
NOT_SENT = frozenset({"stopped", "unsent", "intended"})


@dataclass(frozen=True)
class FillDifference:
    """One difference between desk and back-test.

    Parameters
    ----------
    kind
        ``price``, ``time``, ``quantity``, ``cost``: of a fill that both have. ``missing``: the back-test has a fill and
        the desk has none. ``surplus``: the reverse. ``decision``, ``equity``: what fills follow from, and what follows
        from them.
    about
        Fill, decision or close that it concerns.
    desk, backtest
        Values, in words.
    """

    kind: Kind
    about: str
    desk: str
    backtest: str

    @property
    def sentence(self) -> str:
        """The difference in a sentence."""
        return f"{self.about}: {self.kind} differs, desk {self.desk}, back-test {self.backtest}."


@dataclass(frozen=True)
class Reconciliation:
    """What a comparison of the desk with a back-test found.

    Parameters
    ----------
    account
        Which one.
    sessions, decisions, fills
        That were compared.
    differences
        None where the two are the same.
    restated
        Bars of the stream that the tables say otherwise now, in words: they explain why a back-test from today's
        tables would differ, and change nothing here.
    equity, equal_weight_equity
        At the last session, as the back-test has them; None where no session was traded.
    """

    account: str
    sessions: int
    decisions: int
    fills: int
    differences: tuple[FillDifference, ...]
    restated: tuple[str, ...] = ()
    equity: float | None = None
    equal_weight_equity: float | None = None

    @property
    def is_equal(self) -> bool:
        """Whether there is no difference."""
        return not self.differences


def reconcile_desk(
    lake: "Lake", configured: "Settings", clock: "Clock", account: DeskAccount, *, with_tables: bool = False
) -> Reconciliation:
    """Compare an account with a back-test over its paper period.

    Parameters
    ----------
    with_tables
        Compare the recorded bars with the tables as known now, too.
    """
    stream = recorded_bars(lake, configured, account)
    found = compare(journal_of(configured), account, stream)
    if not with_tables or not stream:
        return found
    now = BarStream(lake, clock.now(), account.declared_daily_value)(account.opened, {})
    return replace(found, restated=tuple(_restated(stream, now)))


def compare(
    journal: DeskJournal, account: DeskAccount, stream: Sequence[tuple[datetime, Sequence[TradedBar]]]
) -> Reconciliation:
    """Run the back-test and compare it with the rows of the journal."""
    test = _PaperBacktest(journal, account)
    for session, bars in stream:
        test.trade(session, bars)
    recorded = {row["fill_id"]: row for row in journal.rows(FILLS) if row["account"] == account.name}
    differences = [*test.differences, *_of_fills(recorded, test.fills)]
    return Reconciliation(
        account.name,
        sessions=len(stream),
        decisions=test.decisions,
        fills=len({*recorded, *test.fills}),
        differences=tuple(differences),
        equity=test.venue.value().equity if stream else None,
        equal_weight_equity=test.null.value().equity if stream else None,
    )


class _PaperBacktest:
    """The account and 1/N, from cash on."""

    def __init__(self, journal: DeskJournal, account: DeskAccount) -> None:
        start = VenueState(Book(account.capital), at=account.opened)
        self.account = account
        self.venue = SimulatedVenue(account.costs, start, account.name)
        self.null = SimulatedVenue(account.costs, start, account.equal_weight)
        self.fills: dict[str, Fill] = {}
        self.differences: list[FillDifference] = []
        self.decisions = 0
        self._decided: dict[datetime, list[Row]] = {}
        for row in journal.rows(DECISIONS, account.name):
            self._decided.setdefault(row["event_time"], []).append(row)
        self._equity = {row["event_time"]: row for row in journal.rows(EQUITY, account.name)}
        self._sent = _as_sent(journal.rows(ORDERS))

    def trade(self, session: datetime, bars: Sequence[TradedBar]) -> None:
        """Trade a session, then decide at its close."""
        result = self.venue.trade(bars, session)
        self.null.trade(bars, session)
        self.fills |= {fill.fill_id: fill for fill in result.fills}
        self._check_equity(session)
        decided = self._decided.get(session, [])
        for row in decided:
            self._decide(row)
        if decided:
            made = [inputs_in(row["content"]) for row in decided]
            null = BrokerStatement(self.null.book, self.null.value(), dict(self.null.closes))
            for order in equal_weight_orders(self.account.equal_weight, made, null, self.account.limits):
                self.null.submit(order, session)

    def _decide(self, row: Row) -> None:
        inputs = inputs_in(row["content"])
        symbol, book = inputs.book.symbol, self.venue.book
        held = book.positions.get(symbol)
        own = replace(
            inputs.book,
            held=held.quantity if held else 0.0,
            average_cost=held.average_cost if held else 0.0,
            price=self.venue.closes.get(symbol, float("nan")),
            equity=self.venue.value().equity,
        )
        self.decisions += 1
        decision = replace(inputs, book=own).decide()
        if decision.quantity != row["quantity"]:
            self.differences.append(
                FillDifference("decision", row["decision_id"], f"{row['quantity']!r}", f"{decision.quantity!r}")
            )
        sent = self._sent.get(row["decision_id"])
        if decision.order is not None and sent is not None:
            self.venue.submit(_as_gated(decision.order, sent), row["known_time"])

    def _check_equity(self, session: datetime) -> None:
        row = self._equity.get(session)
        at = f"{self.account.name} at {session:%Y-%m-%d %H:%M} UTC"
        if row is None:
            self.differences.append(FillDifference("equity", at, "none", f"{self.venue.value().equity!r}"))
            return
        for name, venue in (("equity", self.venue), ("equal_weight_equity", self.null)):
            value = venue.value().equity
            if row[name] != value:
                self.differences.append(FillDifference("equity", f"{name} of {at}", f"{row[name]!r}", f"{value!r}"))


def _as_sent(rows: Sequence[Row]) -> dict[str, Row]:
    """Return each order as it was sent: the first row that the broker gave it; none of one that was kept back."""
    sent: dict[str, Row] = {}
    for row in rows:
        if row["status"] not in NOT_SENT:
            sent.setdefault(row["order_id"], row)
    return sent


def _as_gated(order: Order, sent: Row) -> Order:
    """Return an order with what the risk gate cut off; one that it let through whole is the decision's own."""
    order = replace(order, is_reduce_only=sent["is_reduce_only"])
    return order if abs(sent["quantity"]) >= abs(order.quantity) else replace(order, quantity=sent["quantity"])


def _of_fills(recorded: Mapping[str, Row], tested: Mapping[str, Fill]) -> list[FillDifference]:
    found = []
    for fill_id in sorted({*recorded, *tested}):
        row, fill = recorded.get(fill_id), tested.get(fill_id)
        if row is None and fill is not None:
            found.append(FillDifference("missing", fill_id, "none", f"{fill.quantity:g} at {fill.price:g}"))
        elif row is not None and fill is None:
            found.append(FillDifference("surplus", fill_id, f"{row['quantity']:g} at {row['price']:g}", "none"))
        elif row is not None and fill is not None:
            found += _between(row, fill)
    return found


def _between(row: Row, fill: Fill) -> list[FillDifference]:
    pairs: list[tuple[Kind, object, object]] = [
        ("time", row["event_time"], fill.bar_time),
        ("quantity", row["quantity"], fill.quantity),
        ("price", row["price"], fill.price),
        *(("cost", row[name], getattr(fill, name)) for name in COSTS),
    ]
    return [FillDifference(kind, row["fill_id"], f"{a!r}", f"{b!r}") for kind, a, b in pairs if a != b]


def _restated(
    stream: Sequence[tuple[datetime, Sequence[TradedBar]]], now: Sequence[tuple[datetime, Sequence[TradedBar]]]
) -> list[str]:
    known = {(session, bar.symbol): bar for session, bars in now for bar in bars}
    found = []
    for session, bars in stream:
        for bar in bars:
            other = known.get((session, bar.symbol))
            if other is None or (bar.open, bar.close) != (other.open, other.close):
                said = "it is not there" if other is None else f"open {other.open:g}, close {other.close:g}"
                found.append(
                    f"{bar.symbol} at {session:%Y-%m-%d}: traded on open {bar.open:g}, close {bar.close:g}; the tables "
                    f"say now: {said}."
                )
    return found
