"""Target weights over the bars of a market with numpy: a row of all symbols at once, session by session.

It stands beside the compiled loop as a second opinion, and for a machine on which numba does not run.
"""

import numpy as np

from lake.execution.arithmetic import ROUNDING, interest_of
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


def run_rows(
    market: MarketArrays, weights: Grid, days: Row, knobs: Knobs, cash: float, account: Account, paths: Paths
) -> None:
    """Fill `paths` session by session, as `target_loop.run` does."""
    totals = np.zeros(paths.totals.shape[1])
    held, last, pending = account.held, account.last, account.pending
    with np.errstate(invalid="ignore", divide="ignore"):
        for t in range(len(weights)):
            short = -_sum(np.minimum(held, 0.0) * last, held != 0)
            interest = interest_of(cash, short, knobs.cash * days[t], knobs.margin * days[t])
            borrow = short * knobs.borrow * days[t]
            totals[INTEREST] += interest
            totals[BORROW] += borrow
            cash += interest - borrow + _trade(t, market, knobs, account, paths, totals)
            values = np.where(held != 0, held * last, 0.0)
            equity = cash + values.sum()
            paths.positions[t], paths.totals[t] = held, totals
            paths.equity[t], paths.cash[t], paths.gross[t] = equity, cash, np.abs(values).sum()
            wanted = _wanted(weights[t], float(equity), last, held, knobs.lot)
            is_decided = ~(np.isnan(weights[t]) | np.isnan(last))
            np.copyto(pending, wanted, where=is_decided)
            account.raw[is_decided] = account.charged[is_decided] = 0.0
            paths.counts[ORDERS] += np.count_nonzero(pending[is_decided])


def _sum(values: Row, where: np.ndarray) -> float:
    return float(np.where(where, values, 0.0).sum())


def _wanted(weights: Row, equity: float, prices: Row, held: Row, lot: float) -> Row:
    """Shares to trade, as `shares_to_target` of each symbol."""
    target = weights * equity / prices if equity > 0 else np.zeros_like(held)
    if lot > 0:
        target = np.trunc(target / lot + np.copysign(ROUNDING, target)) * lot
    wanted = target - held
    return np.where(np.abs(wanted) <= ROUNDING * np.maximum(np.abs(target), np.abs(held)), 0.0, wanted)


def _trade(t: int, market: MarketArrays, knobs: Knobs, account: Account, paths: Paths, totals: Row) -> float:
    """Return the change of cash in a session: dividends, fills and endings."""
    held, pending = account.held, account.pending
    close, ending = market.close[t], market.ending[t]
    has_bar = ~np.isnan(close)
    held *= market.split[t]
    pending *= market.split[t]
    dividends = float(held @ market.dividend[t])
    totals[DIVIDENDS] += dividends
    received = dividends + _fill(t, has_bar & (market.halted[t] == 0), market, knobs, account, paths, totals)
    if knobs.is_gtc == 0:
        pending[:] = 0.0
    np.copyto(account.last, close, where=has_bar)
    if ending.any():
        ended = ending != 0
        value = np.where(ended, held * close, 0.0)
        lost = float(np.where(ending == 1, np.maximum(value, 0.0), 0.0).sum()) * knobs.haircut
        totals[HAIRCUTS] += lost
        received += float(value.sum()) - lost
        held[ended] = pending[ended] = 0.0
        account.last[ended] = np.nan
    return received


def _fill(
    t: int, can_trade: np.ndarray, market: MarketArrays, knobs: Knobs, account: Account, paths: Paths, totals: Row
) -> float:
    """Fill what the bars allow of the open orders; return the change of cash."""
    held, pending = account.held, account.pending
    volume, volatility = market.volume[t], market.volatility[t]
    volume = np.where(volume > 0, volume, knobs.declared_volume)
    wanted = np.where(can_trade, pending, 0.0)
    floor = np.where(np.isnan(market.borrowable[t]), -np.inf, np.minimum(0.0, -market.borrowable[t] - held))
    quantity = np.where(wanted < 0, np.maximum(wanted, floor), wanted)
    is_over = (quantity != wanted) | (can_trade & (quantity == 0))
    if knobs.needs_volume:
        lacks = ~(volume > 0) | (np.isnan(volatility) if knobs.impact > 0 else False)
        room = np.where(lacks, 0.0, knobs.most_of_volume * volume)
        is_capped = ~lacks & (np.abs(quantity) > room)
        is_over = (is_over | (can_trade & lacks)) & ~is_capped
        quantity = np.where(lacks, 0.0, np.clip(quantity, -room, room))
    np.copyto(pending, np.where(is_over, 0.0, pending - quantity))
    price, shares = np.where(quantity != 0, market.fill_price[t], 0.0), np.abs(quantity)
    value = shares * price
    is_filled = shares > 0
    raw, charged = account.raw, account.charged
    raw += value * knobs.fee + shares * knobs.fee_per_share
    fee = np.where(is_filled, np.maximum(raw, knobs.fee_minimum) - charged, 0.0)
    charged += fee
    traded = float(value.sum())
    costs = [float(fee.sum()), traded * knobs.spread, traded * knobs.slippage, 0.0]
    if knobs.impact > 0:
        strength = np.where(is_filled, knobs.impact * volatility / np.sqrt(volume), 0.0)
        costs[IMPACT] = float((value * strength * np.sqrt(shares)).sum())
    totals[[FEE, SPREAD, SLIPPAGE, IMPACT]] += costs
    held += quantity
    held[np.abs(held) <= ROUNDING * shares] = 0.0
    paths.traded[t] = quantity
    paths.counts[FILLS] += np.count_nonzero(is_filled)
    return -float(quantity @ price) - sum(costs)
