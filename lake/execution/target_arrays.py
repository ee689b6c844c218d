"""What the two vectorised loops over target weights read and write: arrays and numbers, no objects."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lake.execution.bars import Grid, TradedPanel
from lake.execution.costs import Costs

Row = npt.NDArray[np.float64]
FEE, SPREAD, SLIPPAGE, IMPACT, BORROW, INTEREST, DIVIDENDS, HAIRCUTS = range(8)
"""Columns of the totals."""
KINDS = ("fee", "spread", "slippage", "impact", "borrow", "interest", "dividends", "haircuts")
ORDERS, FILLS = range(2)
"""Columns of the counts."""


class MarketArrays(NamedTuple):
    """The arrays of a `TradedPanel`, ``[session, symbol]``; `fill_price` is the open or the close."""

    fill_price: Grid
    close: Grid
    volume: Grid
    volatility: Grid
    split: Grid
    dividend: Grid
    halted: Grid
    borrowable: Grid
    ending: Grid


class Knobs(NamedTuple):
    """`Costs` and the rules of targets as numbers: rates as parts, of a calendar day where they are of a time."""

    fee: float
    fee_per_share: float
    fee_minimum: float
    spread: float
    slippage: float
    impact: float
    most_of_volume: float
    declared_volume: float
    needs_volume: float
    borrow: float
    margin: float
    cash: float
    haircut: float
    lot: float
    is_gtc: float


class Account(NamedTuple):
    """What changes from session to session, ``[symbol]``.

    Parameters
    ----------
    held
        Shares.
    last
        Last close; NaN before the first bar and after the end.
    pending
        Shares still to be traded by the open order; 0 for none.
    raw, charged
        Fee of the open order by rate, and as charged.
    """

    held: Row
    last: Row
    pending: Row
    raw: Row
    charged: Row


class Paths(NamedTuple):
    """What is written: ``[session]``; `totals` ``[session, kind]``, `traded`, `positions` ``[session, symbol]``."""

    equity: Row
    cash: Row
    gross: Row
    totals: Grid
    traded: Grid
    positions: Grid
    counts: npt.NDArray[np.int64]


def market_of(panel: TradedPanel, *, is_at_close: bool) -> MarketArrays:
    """Return the arrays of a panel with the price at which targets are filled."""
    return MarketArrays(
        panel.close if is_at_close else panel.open,
        panel.close,
        panel.volume,
        panel.volatility,
        panel.split,
        panel.dividend,
        panel.halted,
        panel.borrowable,
        panel.ending,
    )


def knobs_of(costs: Costs, *, lot_shares: float, is_gtc: bool) -> Knobs:
    """Return costs as numbers."""
    a_day = 1e-4 / costs.days_a_year
    return Knobs(
        costs.fee_bps / 1e4,
        float(costs.fee_per_share),
        float(costs.fee_minimum),
        costs.half_spread_bps / 1e4,
        costs.slippage_bps / 1e4,
        float(costs.impact_coefficient),
        math.inf if costs.most_of_volume is None else float(costs.most_of_volume),
        math.nan if costs.declared_volume_shares is None else float(costs.declared_volume_shares),
        float(costs.needs_volume),
        costs.borrow_bps_a_year * a_day,
        costs.margin_bps_a_year * a_day,
        costs.cash_bps_a_year * a_day,
        float(costs.delisting_haircut),
        float(lot_shares),
        float(is_gtc),
    )


def empty_account(symbols: int) -> Account:
    """Return an account that holds and knows nothing."""
    zeros = [np.zeros(symbols) for _ in range(4)]
    return Account(zeros[0], np.full(symbols, np.nan), *zeros[1:])


def empty_paths(sessions: int, symbols: int) -> Paths:
    """Return arrays to be written."""
    grid = (sessions, symbols)
    return Paths(
        np.zeros(sessions),
        np.zeros(sessions),
        np.zeros(sessions),
        np.zeros((sessions, len(KINDS))),
        np.zeros(grid),
        np.zeros(grid),
        np.zeros(2, dtype=np.int64),
    )
