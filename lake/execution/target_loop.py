"""Target weights over the bars of a market as one loop of numbers, which numba compiles.

The functions are plain Python: they run without numba too, slowly, which is how they are read and covered.
"""

import math
from functools import cache
from typing import Any

from lake.execution.arithmetic import fee_of, held_after, impact_of, interest_of, shares_to_target, within_borrow
from lake.execution.bars import Grid
from lake.execution.target_arrays import (
    BORROW,
    DIVIDENDS,
    FEE,
    FILLS,
    HAIRCUTS,
    IMPACT,
    INTEREST,
    ORDERS,
    SLIPPAGE,
    SPREAD,
    Account,
    Knobs,
    MarketArrays,
    Paths,
    Row,
)


def run(
    market: MarketArrays, weights: Grid, days: Row, knobs: Knobs, cash: float, account: Account, paths: Paths
) -> None:
    """Fill `paths` session by session; `account` ends as it stands after the last."""
    sessions, symbols = weights.shape
    for t in range(sessions):
        totals = paths.totals[t]
        if t > 0:
            totals[:] = paths.totals[t - 1]
        cash += accrue_days(days[t], knobs, cash, account, totals)
        cash += trade_session(t, market, knobs, account, paths)
        value, gross = 0.0, 0.0
        for s in range(symbols):
            held = account.held[s]
            paths.positions[t, s] = held
            if held != 0:
                value += held * account.last[s]
                gross += abs(held * account.last[s])
        paths.equity[t], paths.cash[t], paths.gross[t] = cash + value, cash, gross
        for s in range(symbols):
            weight, price = weights[t, s], account.last[s]
            if not (math.isnan(weight) or math.isnan(price)):
                account.pending[s] = shares_to_target(weight, cash + value, price, account.held[s], knobs.lot)
                account.raw[s] = account.charged[s] = 0.0
                paths.counts[ORDERS] += account.pending[s] != 0


def accrue_days(days: float, knobs: Knobs, cash: float, account: Account, totals: Row) -> float:
    """Return interest less borrow fees since the session before."""
    short = 0.0
    for s in range(account.held.size):
        if account.held[s] < 0:
            short -= account.held[s] * account.last[s]
    interest = interest_of(cash, short, knobs.cash * days, knobs.margin * days)
    borrow = short * knobs.borrow * days
    totals[INTEREST] += interest
    totals[BORROW] += borrow
    return interest - borrow


def trade_session(t: int, market: MarketArrays, knobs: Knobs, account: Account, paths: Paths) -> float:
    """Return the change of cash in a session: dividends, fills and endings."""
    received = 0.0
    totals, held, pending = paths.totals[t], account.held, account.pending
    for s in range(held.size):
        close = market.close[t, s]
        if math.isnan(close):
            if knobs.is_gtc == 0:
                pending[s] = 0.0
            continue
        split, dividend = market.split[t, s], market.dividend[t, s]
        held[s] *= split
        pending[s] *= split
        totals[DIVIDENDS] += held[s] * dividend
        received += held[s] * dividend
        if pending[s] != 0 and market.halted[t, s] == 0:
            received += fill_pending(t, s, market, knobs, account, paths)
        if knobs.is_gtc == 0:
            pending[s] = 0.0
        account.last[s] = close
        if market.ending[t, s] != 0:
            value = held[s] * close
            lost = max(value, 0.0) * knobs.haircut if market.ending[t, s] == 1 else 0.0
            totals[HAIRCUTS] += lost
            received += value - lost
            held[s] = pending[s] = 0.0
            account.last[s] = math.nan
    return received


def fill_pending(t: int, s: int, market: MarketArrays, knobs: Knobs, account: Account, paths: Paths) -> float:
    """Fill what the bar allows of the open order of a symbol; return the change of cash."""
    volume, volatility = market.volume[t, s], market.volatility[t, s]
    if not volume > 0:
        volume = knobs.declared_volume
    quantity, is_over = allowed(account.pending[s], account.held[s], volume, volatility, market.borrowable[t, s], knobs)
    account.pending[s] = 0.0 if is_over else account.pending[s] - quantity
    if quantity == 0:
        return 0.0
    price, shares = market.fill_price[t, s], abs(quantity)
    value = shares * price
    account.raw[s] += value * knobs.fee + shares * knobs.fee_per_share
    fee = fee_of(account.raw[s], account.charged[s], knobs.fee_minimum)
    account.charged[s] += fee
    spread, slippage, impact = value * knobs.spread, value * knobs.slippage, 0.0
    if knobs.impact > 0:
        impact = impact_of(shares, 0.0, price, knobs.impact * volatility, volume)
    totals = paths.totals[t]
    totals[FEE] += fee
    totals[SPREAD] += spread
    totals[SLIPPAGE] += slippage
    totals[IMPACT] += impact
    account.held[s] = held_after(account.held[s], quantity)
    paths.traded[t, s] = quantity
    paths.counts[FILLS] += 1
    return float(-quantity * price - fee - spread - slippage - impact)


def allowed(
    wanted: float, held: float, volume: float, volatility: float, borrowable: float, knobs: Knobs
) -> tuple[float, bool]:
    """Return the shares that a bar allows of an order, and whether the order ends with them."""
    lent = within_borrow(wanted, held, borrowable)
    if lent == 0:
        return 0.0, True
    if knobs.needs_volume == 0:
        return lent, lent != wanted
    if not volume > 0 or (knobs.impact > 0 and math.isnan(volatility)):
        return 0.0, True
    room = knobs.most_of_volume * volume
    if abs(lent) > room:
        return math.copysign(room, lent), False
    return lent, lent != wanted


@cache
def compiled_run() -> Any:
    """Return `run`, compiled by this or by an earlier process."""
    from numba import types

    from lake.execution.compiling import compile_function

    number, row, grid = types.float64, types.float64[::1], types.float64[:, ::1]
    paths = types.NamedTuple([row, row, row, grid, grid, grid, types.int64[::1]], Paths)
    market = types.NamedUniTuple(grid, len(MarketArrays._fields), MarketArrays)
    knobs = types.NamedUniTuple(number, len(Knobs._fields), Knobs)
    account = types.NamedUniTuple(row, len(Account._fields), Account)
    return compile_function(run, [market, grid, row, knobs, number, account, paths])
