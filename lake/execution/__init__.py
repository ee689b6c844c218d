"""What an order becomes in the market: orders, fills, costs and books. No table, no strategy, no forecast.

- `Order`, `bracket`: what is to be traded; `OrderState`, `Fill`: what became of it
- `Costs`, `NO_COSTS`: what trading and holding costs
- `TradedBar`, `TradedPanel`, `traded_panel`, `as_traded`: bars in shares and prices of their day
- `Book`, `Position`: cash and positions; `apply_fill`, `apply_split`, `apply_dividend`, `apply_delisting`, `accrue`
  return a new book, `mark` values one as a `Valuation`
- `SimulatedVenue`: fills the orders of one account session by session; `VenueState` is where it stands, `SessionResult`
  what a session brought, `BookChange` what changed a book without an order
- `simulate`: runs a function that decides at each close; `AtClose`, `TargetWeights`, `SimulatedPath`, `submit_targets`
- `simulate_targets`: the vectorised twin for target weights; `TargetPath`
- `optimal_schedule`, `LinearImpact`, `ExecutionSchedule`: a large order spread over time, in closed form

Fill rules and costs stand in docs/execution.md.
"""

from lake.execution.account import BookChange, SessionResult, VenueState
from lake.execution.bars import ENDINGS, Ending, TradedBar, TradedPanel, as_traded, traded_panel
from lake.execution.book import (
    FLAT,
    Book,
    Position,
    Valuation,
    accrue,
    apply_delisting,
    apply_dividend,
    apply_fill,
    apply_split,
    mark,
)
from lake.execution.costs import NO_COSTS, Costs
from lake.execution.orders import (
    OPEN_STATUSES,
    ORDER_KINDS,
    TIMES_IN_FORCE,
    Fill,
    Order,
    OrderKind,
    OrderState,
    OrderStatus,
    TimeInForce,
    bracket,
)
from lake.execution.schedules import ExecutionSchedule, LinearImpact, optimal_schedule
from lake.execution.simulation import AtClose, Decide, FillAt, SimulatedPath, TargetWeights, simulate, submit_targets
from lake.execution.targets import Arithmetic, TargetPath, simulate_targets
from lake.execution.venue import SimulatedVenue

__all__ = [  # noqa: RUF022 - in the order of the docstring
    "Order",
    "OrderKind",
    "ORDER_KINDS",
    "TimeInForce",
    "TIMES_IN_FORCE",
    "bracket",
    "OrderState",
    "OrderStatus",
    "OPEN_STATUSES",
    "Fill",
    "Costs",
    "NO_COSTS",
    "TradedBar",
    "TradedPanel",
    "traded_panel",
    "as_traded",
    "Ending",
    "ENDINGS",
    "Book",
    "Position",
    "FLAT",
    "Valuation",
    "apply_fill",
    "apply_split",
    "apply_dividend",
    "apply_delisting",
    "accrue",
    "mark",
    "SimulatedVenue",
    "VenueState",
    "SessionResult",
    "BookChange",
    "simulate",
    "AtClose",
    "Decide",
    "TargetWeights",
    "FillAt",
    "SimulatedPath",
    "submit_targets",
    "simulate_targets",
    "Arithmetic",
    "TargetPath",
    "optimal_schedule",
    "LinearImpact",
    "ExecutionSchedule",
]
