"""What an order becomes in the market: orders, fills, costs and books. No table, no strategy, no forecast.

- `Order`, `bracket`: what is to be traded; `OrderState`, `Fill`: what became of it
- `Costs`, `NO_COSTS`: what trading and holding costs
- `TradedBar`: one session of one instrument, in shares and prices of that day
- `Book`, `Position`: cash and positions; `apply_fill`, `apply_split`, `apply_dividend`, `apply_delisting`, `accrue`
  return a new book, `mark` values one as a `Valuation`

Fill rules and costs stand in docs/execution.md.
"""

from lake.execution.bars import ENDINGS, Ending, TradedBar
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
]
