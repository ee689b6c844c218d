"""The event-driven back-test: at each close a function decides, from the next open on its orders are filled."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError, UnknownNameError
from lake.execution.account import BookChange, VenueState
from lake.execution.arithmetic import shares_to_target
from lake.execution.bars import TradedPanel
from lake.execution.book import Book, Valuation
from lake.execution.costs import Costs
from lake.execution.orders import Fill, Order, OrderKind, OrderState, TimeInForce
from lake.execution.venue import SimulatedVenue

FillAt = Literal["open", "close"]


@dataclass(frozen=True)
class TargetWeights:
    """Parts of the equity to be held, decided at a close, reached by market orders of the next session.

    Parameters
    ----------
    weights
        Part of the equity by symbol; a symbol that is missing, or NaN, is left alone.
    fill_at
        `open`: market orders at the next open. `close`: on-close orders at the next close.
    time_in_force
        `day`: what the volume of the session does not hold is cancelled. `gtc`: it waits until the next target of the
        symbol; at opens only.
    lot_shares
        Positions are whole multiples of it; 0 allows fractions of a share.

    Raises
    ------
    ConfigError
        If orders at a close are to wait for later ones, or the lot is negative.
    """

    weights: Mapping[str, float]
    fill_at: FillAt = "open"
    time_in_force: TimeInForce = "day"
    lot_shares: float = 0.0

    def __post_init__(self) -> None:
        check_targets(self.fill_at, self.time_in_force, self.lot_shares)


def check_targets(fill_at: str, time_in_force: str, lot_shares: float) -> None:
    """Refuse what no target can be filled by."""
    if fill_at not in {"open", "close"}:
        raise UnknownNameError("time of fills", fill_at, ("open", "close"))
    if time_in_force not in {"day", "gtc"}:
        raise UnknownNameError("time in force of targets", time_in_force, ("day", "gtc"))
    if fill_at == "close" and time_in_force != "day":
        raise ConfigError("Targets filled at the close are of time in force 'day'; at 'open' they may also be 'gtc'.")
    if not lot_shares >= 0:
        raise ConfigError(f"lot_shares is {lot_shares}; a number of shares from 0 on is needed.")


class AtClose(NamedTuple):
    """What a decision may know: everything up to and including the close of one session.

    Parameters
    ----------
    session
        Number of the session in the panel, from 0.
    time
        Its close.
    closes
        Last close by symbol, as traded.
    open_orders
        Orders that can still have a fill.
    """

    session: int
    time: datetime
    book: Book
    valuation: Valuation
    closes: Mapping[str, float]
    open_orders: tuple[OrderState, ...]


Decide = Callable[[AtClose], "TargetWeights | Sequence[Order] | None"]


@dataclass(frozen=True, eq=False)
class SimulatedPath:
    """What came of the decisions.

    Parameters
    ----------
    times
        Closes, ``[session]``.
    equity, cash, gross
        Money at each close, ``[session]``: cash plus positions, cash, and the sum of absolute positions.
    fills, states, changes
        Every fill, every change of an order, and what changed the book without an order, in order of time.
    skipped
        Targets without a price, as `(time, symbol)`.
    end
        The account after the last session: `simulate` goes on from there.
    """

    times: tuple[datetime, ...]
    equity: npt.NDArray[np.float64]
    cash: npt.NDArray[np.float64]
    gross: npt.NDArray[np.float64]
    fills: tuple[Fill, ...]
    states: tuple[OrderState, ...]
    changes: tuple[BookChange, ...]
    skipped: tuple[tuple[datetime, str], ...]
    end: VenueState

    @property
    def book(self) -> Book:
        """Cash, positions and all costs after the last session."""
        return self.end.book


@dataclass
class _Record:
    valuations: list[Valuation] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    states: list[OrderState] = field(default_factory=list)
    changes: list[BookChange] = field(default_factory=list)
    skipped: list[tuple[datetime, str]] = field(default_factory=list)


def simulate(
    panel: TradedPanel,
    decide: Decide,
    costs: Costs,
    *,
    cash: float | None = None,
    start: VenueState | None = None,
    account: str = "backtest",
) -> SimulatedPath:
    """Run a decision function over the bars of a market.

    Parameters
    ----------
    panel
        Bars as traded, with what happened to the instruments.
    decide
        Called once after each close with what is known then; returns target weights, orders, or None for nothing.
        Orders with the identifier of an open order are refused, so an identifier per decision is needed.
    cash
        Money at the beginning; or `start`, the `end` of an earlier path, whose sessions come before the panel's.

    Raises
    ------
    ConfigError
        If neither cash nor a start is given, or both.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from lake.execution import NO_COSTS, traded_panel
    >>> days = [datetime(2024, 1, day, 21, tzinfo=UTC) for day in (2, 3, 4)]
    >>> prices = {"open": [[9], [10], [11]], "high": [[12]] * 3, "low": [[8]] * 3, "close": [[10], [10], [12]]}
    >>> hold = lambda now: TargetWeights({"AAA": 1.0}) if now.session == 0 else None
    >>> simulate(traded_panel(days, ["AAA"], **prices), hold, NO_COSTS, cash=100.0).equity.tolist()
    [100.0, 100.0, 120.0]
    """
    if (cash is None) == (start is None):
        raise ConfigError("simulate needs either cash, for a new account, or start, the end of an earlier path.")
    venue = SimulatedVenue(costs, start or VenueState(Book(cash or 0.0)), account)
    record = _Record()
    with _without_collection():
        for session, time in enumerate(panel.times):
            _pass(panel, session, time, venue, decide, record)
    record.states.extend(venue.drain_states())
    return _path(panel, record, venue)


def _pass(
    panel: TradedPanel, session: int, time: datetime, venue: SimulatedVenue, decide: Decide, record: _Record
) -> None:
    """Let one session pass and submit what is decided at its close."""
    result = venue.trade(panel.bars_at(session), time)
    record.valuations.append(result.valuation)
    record.fills.extend(result.fills)
    record.states.extend(result.states)
    record.changes.extend(result.changes)
    decided = decide(AtClose(session, time, venue.book, result.valuation, venue.closes, venue.open_orders))
    if isinstance(decided, TargetWeights):
        record.skipped.extend((time, symbol) for symbol in submit_targets(venue, decided, time))
    else:
        for order in decided or ():
            venue.submit(order, time)


@contextmanager
def _without_collection() -> Iterator[None]:
    """Look for no cycles meanwhile: the record grows, has none, and was a third of the time of a long simulation."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def submit_targets(venue: SimulatedVenue, targets: TargetWeights, time: datetime) -> list[str]:
    """Replace the open orders of earlier targets by those that reach these; return the symbols without a price.

    An order of a target has the identifier ``target/<symbol>/<close>``.
    """
    equity, closes = venue.value().equity, venue.closes
    stamp = time.isoformat()
    skipped = []
    for symbol, weight in targets.weights.items():
        if weight != weight:  # noqa: PLR0124 - NaN
            continue
        if symbol not in closes or symbol in venue.ended:
            skipped.append(symbol)
            continue
        for order_id in venue.open_of(symbol):
            if order_id.startswith("target/"):
                venue.cancel(order_id, time, "replaced by a later target")
        wanted = shares_to_target(weight, equity, closes[symbol], venue.book.quantity(symbol), targets.lot_shares)
        if wanted != 0:
            kind: OrderKind = "market" if targets.fill_at == "open" else "on_close"
            order_id = f"target/{symbol}/{stamp}"
            order = Order(
                order_id, venue.account, symbol, wanted, kind, time_in_force=targets.time_in_force, decided_at=time
            )
            venue.submit(order, time)
    return skipped


def _path(panel: TradedPanel, record: _Record, venue: SimulatedVenue) -> SimulatedPath:
    valuations = np.array(record.valuations, dtype=np.float64).reshape(-1, 4)
    return SimulatedPath(
        panel.times,
        valuations[:, 0],
        valuations[:, 1],
        valuations[:, 3],
        tuple(record.fills),
        tuple(record.states),
        tuple(record.changes),
        tuple(record.skipped),
        venue.state,
    )
