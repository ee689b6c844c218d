"""A simulated venue: takes the orders of one account and fills them against bars, session by session."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lake.errors import ConfigError
from lake.execution.account import BookChange, SessionResult, VenueState, why_impossible
from lake.execution.arithmetic import interest_of
from lake.execution.bars import TradedBar
from lake.execution.book import (
    Valuation,
    accrue,
    apply_delisting,
    apply_dividend,
    apply_fill,
    apply_split,
    mark,
)
from lake.execution.costs import Costs
from lake.execution.filling import AT_CLOSE, AT_OPEN, BY_STOP, PHASES, meet, phase_of
from lake.execution.orders import Fill, Order, OrderState, OrderStatus
from lake.execution.sizing import Refusal, Shortened, fill_of, room_for


@dataclass(slots=True)
class _SymbolSession:
    """One bar while orders are filled in it: shares taken of its volume, and orders that wait for the next bar."""

    bar: TradedBar
    taken: float = 0.0
    deferred: set[str] = field(default_factory=set)


class SimulatedVenue:
    """Fills the orders of one account against bars, and keeps its book.

    Parameters
    ----------
    costs
        What orders and positions cost.
    start
        Where the account stands: `VenueState(Book(cash))` for a new one.
    account
        Orders of any other account are refused with an error.

    Examples
    --------
    >>> from lake.execution import Book
    >>> venue = SimulatedVenue(Costs(impact_coefficient=0, most_of_volume=None), VenueState(Book(1_000.0)))
    >>> _ = venue.submit(Order("o1", "backtest", "AAA", 5.0))
    >>> result = venue.trade([TradedBar("AAA", None, 100.0, 104.0, 97.0, 101.0)], None)
    >>> result.fills[0].price, round(result.valuation.equity, 2)
    (100.0, 1004.75)
    """

    def __init__(self, costs: Costs, start: VenueState, account: str = "backtest") -> None:
        self.costs, self.account = costs, account
        self.book = start.book
        self.at = start.at
        self.closes = dict(start.closes)
        self.ended = set(start.ended)
        self._sequence = start.sequence
        self._fills_of = dict(start.fills_of)
        self._submitted = set(start.submitted)
        self._open = {state.order.order_id: state for state in start.orders}
        self._of_symbol: dict[str, dict[str, None]] = {}
        for state in start.orders:
            self._of_symbol.setdefault(state.order.symbol, {})[state.order.order_id] = None
        self._parents = {state.order.parent_id for state in start.orders}
        self._fills: list[Fill] = []
        self._states: list[OrderState] = []
        self._changes: list[BookChange] = []

    @property
    def state(self) -> VenueState:
        """Where the account stands now: a venue that starts there goes on as this one does."""
        return VenueState(
            self.book,
            tuple(self._open.values()),
            dict(self.closes),
            frozenset(self.ended),
            dict(self._fills_of),
            frozenset(self._submitted),
            self._sequence,
            self.at,
        )

    @property
    def open_orders(self) -> tuple[OrderState, ...]:
        """Orders that can still have a fill, in the order of their submission."""
        return tuple(self._open.values())

    def open_of(self, symbol: str) -> tuple[str, ...]:
        """Identifiers of the open orders of a symbol."""
        return tuple(self._of_symbol.get(symbol, ()))

    def drain_states(self) -> tuple[OrderState, ...]:
        """Return the changes of orders since the last session, which the next session would bring, once."""
        states, self._states = tuple(self._states), []
        return states

    def value(self) -> Valuation:
        """What the book is worth at the last closes."""
        return mark(self.book, self.closes)

    def submit(self, order: Order, at: datetime | None = None) -> OrderState:
        """Take an order for the sessions to come; one that is never possible comes back refused, with the reason.

        Raises
        ------
        ConfigError
            If the order is of another account.
        """
        if order.account != self.account:
            raise ConfigError(
                f"Order '{order.order_id}' is of account '{order.account}', the venue of '{self.account}'."
            )
        reason = why_impossible(order, self._submitted, self.ended, self._open)
        if reason:
            return self._log(OrderState(order, "refused", 0, at), "refused", reason, at)
        self._submitted.add(order.order_id)
        status: OrderStatus = "working" if order.parent_id is None or self._open[order.parent_id].filled else "held"
        mark = self.closes.get(order.symbol) if order.kind == "trailing_stop" else None
        self._sequence += 1
        state = OrderState(order, status, self._sequence, at, mark=mark)
        self._states.append(state)
        self._of_symbol.setdefault(order.symbol, {})[order.order_id] = None
        self._parents.add(order.parent_id)
        self._open[order.order_id] = state
        return state

    def cancel(self, order_id: str, at: datetime | None = None, reason: str = "cancelled by its owner") -> OrderState:
        """Take an order back, and with it the orders that wait for it.

        Raises
        ------
        ConfigError
            If no order of that identifier is open.
        """
        if order_id not in self._open:
            raise ConfigError(f"There is no open order '{order_id}'; it was filled, it ended, or it never was.")
        return self._end(self._open[order_id], "cancelled", reason, at)

    def trade(self, bars: Sequence[TradedBar], time: datetime | None, days: float | None = None) -> SessionResult:
        """Let one session pass: interest, splits and dividends, fills, what ends with the session, then the closes.

        Parameters
        ----------
        bars
            One per symbol that has one in this session.
        time
            Close of the session.
        days
            Calendar days since the session before; None counts them between the dates.
        """
        if days is None:
            days = (time.date() - self.at.date()).days if time and self.at else 0
        self._accrue(float(days), time)
        for bar in bars:
            self._act(bar)
        for bar in bars:
            if self._of_symbol.get(bar.symbol):
                self._trade_symbol(bar)
        self._expire({bar.symbol: bar for bar in bars}, time)
        for bar in bars:
            self.closes[bar.symbol] = bar.close
            if bar.ending:
                self._finish(bar)
        self.at = time
        result = SessionResult(tuple(self._fills), tuple(self._states), tuple(self._changes), self.value())
        self._fills, self._states, self._changes = [], [], []
        return result

    def _accrue(self, days: float, time: datetime | None) -> None:
        costs = self.costs
        if days == 0 or not (costs.borrow_bps_a_year or costs.margin_bps_a_year or costs.cash_bps_a_year):
            return
        short = 0.0
        for symbol, position in self.book.positions.items():
            short += max(-position.quantity * self.closes[symbol], 0.0)
        period = days / costs.days_a_year / 1e4
        interest = interest_of(self.book.cash, short, costs.cash_bps_a_year * period, costs.margin_bps_a_year * period)
        borrow = short * costs.borrow_bps_a_year * period
        if interest:
            self._changes.append(BookChange("interest", "", interest, time))
        if borrow:
            self._changes.append(BookChange("borrow", "", -borrow, time))
        if interest or borrow:
            self.book = accrue(self.book, interest, borrow)

    def _act(self, bar: TradedBar) -> None:
        """Apply the split and the dividend before the open of a bar."""
        if bar.split != 1:
            self.book = apply_split(self.book, bar.symbol, bar.split)
            self._changes.append(BookChange("split", bar.symbol, bar.split, bar.time))
            for order_id in self._of_symbol.get(bar.symbol, ()):
                self._keep(self._open[order_id].after_split(bar.split), bar.time)
        if bar.dividend != 0 and (held := self.book.quantity(bar.symbol)) != 0:
            self.book = apply_dividend(self.book, bar.symbol, bar.dividend)
            self._changes.append(BookChange("dividend", bar.symbol, held * bar.dividend, bar.time))

    def _trade_symbol(self, bar: TradedBar) -> None:
        if bar.is_halted:
            return
        session = _SymbolSession(bar)
        waiting = self._of_symbol[bar.symbol]
        if len(waiting) == 1:  # the usual case, in which no order can make another one come alive
            (order_id,) = waiting
            only = self._open[order_id]
            if only.status != "held":
                self._attempt(only, session, phase_of(only))
            return
        for phase in PHASES:
            for order_id in tuple(waiting):
                state = self._open.get(order_id)
                if state and state.status != "held" and phase_of(state) == phase and order_id not in session.deferred:
                    self._attempt(state, session, phase)

    def _attempt(self, state: OrderState, session: "_SymbolSession", phase: int) -> None:
        bar, order_id = session.bar, state.order.order_id
        price, after = meet(state, bar)
        if after.is_triggered and not state.is_triggered:
            session.deferred.add(order_id)
            after = self._keep(after, bar.time, "its stop was reached; it waits as a limit")
        elif after is not state:
            self._open[order_id] = after  # a trail that follows the price is no change of the order
        if price is None:
            return
        room = room_for(after, bar, self.book.quantity(bar.symbol), session.taken, self.costs)
        if isinstance(room, Refusal):
            self._refuse_fill(after, room, bar)
            return
        quantity = room.quantity if isinstance(room, Shortened) else room
        if quantity == 0:
            return
        number = self._fills_of.get(order_id, 0) + 1
        fill, raw = fill_of(after, number, quantity, price, bar, session.taken, self.costs)
        session.taken += abs(quantity)
        self._fills_of[order_id] = number
        self._fills.append(fill)
        self.book = apply_fill(self.book, fill)
        self._settle(after, fill, raw, room.reason if isinstance(room, Shortened) else "", session, phase)

    def _refuse_fill(self, state: OrderState, refusal: Refusal, bar: TradedBar) -> None:
        parent = self._open.get(state.order.parent_id or "")
        if refusal.is_nothing_to_reduce and parent is not None:
            return  # the parent may yet open a position
        has_part = state.filled != 0 or refusal.is_nothing_to_reduce
        self._end(state, "cancelled" if has_part else "refused", refusal.reason, bar.time)

    def _settle(
        self, state: OrderState, fill: Fill, raw: float, reason: str, session: "_SymbolSession", phase: int
    ) -> None:
        """Write down what a fill made of its order, of the orders of its group and of those that waited for it."""
        order, time = state.order, session.bar.time
        after = state.after_fill(fill.quantity, raw, fill.fee)
        is_over = after.status == "filled" or bool(reason)
        children = self._children(order)
        for child in children:
            if child.status == "held":
                self._keep(child._replace(status="working", mark=child.mark and fill.price), time)
        if is_over:
            self._end(after, "cancelled" if reason else "filled", reason, time)
        else:
            self._keep(after, time)
        if order.group is not None:
            self._shorten_group(order, abs(fill.quantity), is_over=is_over, time=time)
        if children and phase != AT_OPEN:
            self._meet_children(children, session, phase)

    def _meet_children(self, children: Iterable[OrderState], session: "_SymbolSession", phase: int) -> None:
        """Let stops see the bar in which their parent was filled, and limits only a bar after its open."""
        for child in children:
            state = self._open.get(child.order.order_id)
            if state is None or child.status != "held":
                continue
            if phase_of(state) == BY_STOP and phase != AT_CLOSE:
                self._attempt(state, session, BY_STOP)
            session.deferred.add(child.order.order_id)

    def _others(self, order: Order) -> list[OrderState]:
        """Return the other open orders of the same symbol; parents and groups are of one symbol."""
        others = self._of_symbol[order.symbol]
        return [self._open[order_id] for order_id in others if order_id != order.order_id]

    def _children(self, order: Order) -> list[OrderState]:
        """Return the open orders that wait for a fill of this one, or did."""
        if order.order_id not in self._parents:
            return []
        return [other for other in self._others(order) if other.order.parent_id == order.order_id]

    def _shorten_group(self, order: Order, shares: float, *, is_over: bool, time: datetime | None) -> None:
        for other in self._others(order):
            if other.order.group != order.group:
                continue
            left = abs(other.remaining) - shares
            if is_over or left <= 0:
                self._end(other, "cancelled", f"'{order.order_id}' of its group was filled", time)
            else:
                quantity = other.filled + (left if other.order.is_buy else -left)
                self._keep(other._replace(order=other.order.with_quantity(quantity)), time, "shortened by its group")

    def _expire(self, bars: Mapping[str, TradedBar], time: datetime | None) -> None:
        for state in tuple(self._open.values()):
            order = state.order
            if order.order_id not in self._open or (order.time_in_force == "gtc" and order.symbol in self.closes):
                continue
            bar = bars.get(order.symbol)
            if bar is None and order.symbol not in self.closes:
                self._end(state, "refused", f"{order.symbol} was not listed yet", time)
            elif state.status != "held" and order.time_in_force != "gtc":
                why = "no bar" if bar is None else "halted" if bar.is_halted else ""
                self._end(state, "cancelled" if order.time_in_force == "ioc" else "expired", why, time)

    def _finish(self, bar: TradedBar) -> None:
        """Close the position in an instrument that ended, at its last close, and its orders."""
        held = self.book.quantity(bar.symbol)
        before = self.book.cash
        if held != 0:
            haircut = self.costs.delisting_haircut if bar.ending == "delisted" else 0.0
            self.book = apply_delisting(self.book, bar.symbol, bar.close, haircut)
            change = BookChange(bar.ending or "delisted", bar.symbol, self.book.cash - before, bar.time)
            self._changes.append(change)
        self.ended.add(bar.symbol)
        for order_id in tuple(self._of_symbol.get(bar.symbol, ())):
            if order_id in self._open:
                self._end(self._open[order_id], "cancelled", f"{bar.symbol} was {bar.ending}", bar.time)

    def _end(self, state: OrderState, status: OrderStatus, reason: str, time: datetime | None) -> OrderState:
        order_id = state.order.order_id
        del self._open[order_id]
        del self._of_symbol[state.order.symbol][order_id]
        self._fills_of.pop(order_id, None)
        ended = self._log(state, status, reason, time)
        if state.filled == 0:
            for child in self._children(state.order):
                if child.order.order_id in self._open:
                    self._end(child, "cancelled", f"its parent '{order_id}' ended without a fill", time)
        return ended

    def _keep(self, state: OrderState, time: datetime | None, reason: str = "") -> OrderState:
        kept = self._log(state, state.status, reason or state.reason, time)
        self._open[state.order.order_id] = kept
        return kept

    def _log(self, state: OrderState, status: OrderStatus, reason: str, time: datetime | None) -> OrderState:
        self._sequence += 1
        logged = state.changed(status, reason, self._sequence, time)
        self._states.append(logged)
        return logged
