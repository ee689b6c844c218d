"""The sums that the event engine and its compiled twin have in common, of single numbers.

numba compiles these functions as they stand (`lake.execution.compiling`), so they use numbers and `math` only.
"""

import math

ROUNDING = 1e-9
"""Part of a position, or of a trade, below which a difference is rounding: neither a trade nor a position."""


def shares_to_target(weight: float, equity: float, price: float, held: float, lot: float) -> float:
    """Return the shares to trade so that a position is worth `weight` of the equity at a price; 0 for none.

    Parameters
    ----------
    weight
        Part of the equity, negative for a short position.
    equity
        Cash plus positions; with none left the target is no position.
    lot
        Positions are whole multiples of it, rounded towards zero; 0 allows fractions of a share.

    Examples
    --------
    >>> shares_to_target(0.5, 1_000.0, 30.0, 10.0, 1.0)
    6.0
    """
    target = weight * equity / price if equity > 0 else 0.0
    if lot > 0:
        target = math.trunc(target / lot + math.copysign(ROUNDING, target)) * lot
    wanted = target - held
    return 0.0 if abs(wanted) <= ROUNDING * max(abs(target), abs(held)) else wanted


def held_after(held: float, quantity: float) -> float:
    """Return the shares held after a trade; what is left by rounding alone is no position.

    Examples
    --------
    >>> 0.1 + 0.2 - 0.3, held_after(0.1 + 0.2, -0.3)
    (5.551115123125783e-17, 0.0)
    """
    after = held + quantity
    return 0.0 if abs(after) <= ROUNDING * abs(quantity) else after


def within_borrow(quantity: float, held: float, borrowable: float) -> float:
    """Return how much of a quantity can be traded when the account may be short `borrowable` shares in all.

    Examples
    --------
    >>> within_borrow(-100.0, 20.0, 50.0), within_borrow(100.0, 0.0, 0.0), within_borrow(-9.0, 0.0, math.nan)
    (-70.0, 100.0, -9.0)
    """
    if quantity > 0 or math.isnan(borrowable):
        return quantity
    return max(quantity, min(0.0, -borrowable - held))


def fee_of(raw: float, charged: float, minimum: float) -> float:
    """Return what is still to be charged of an order's fee: `raw` so far, but the minimum at least, less `charged`."""
    return max(raw, minimum) - charged


def impact_of(shares: float, before: float, price: float, strength: float, volume: float) -> float:
    """Return the cost of moving the price, in money: ``price b sigma shares^1.5 / volume^.5`` for the first order.

    Parameters
    ----------
    shares, before
        Shares of this fill, and shares of the same bar that earlier fills of the account took: two orders pay what
        one order over both would have paid.
    strength
        ``b sigma``: the coefficient times the volatility per session.

    Examples
    --------
    >>> once = impact_of(100.0, 0.0, 50.0, 0.02, 10_000.0)
    >>> twice = impact_of(50.0, 0.0, 50.0, 0.02, 10_000.0) + impact_of(50.0, 50.0, 50.0, 0.02, 10_000.0)
    >>> round(once, 9), round(twice, 9)
    (10.0, 10.0)
    """
    after = before + shares
    return price * strength * (after * math.sqrt(after) - before * math.sqrt(before)) / math.sqrt(volume)


def interest_of(cash: float, short_value: float, cash_rate: float, margin_rate: float) -> float:
    """Return the interest of a period on cash, negative when paid; the proceeds of short sales earn nothing.

    Parameters
    ----------
    short_value
        Value of all shares sold short, positive.
    cash_rate, margin_rate
        Of the period, as a part.

    Examples
    --------
    >>> interest_of(1_000.0, 400.0, 0.01, 0.02), interest_of(-1_000.0, 400.0, 0.01, 0.02)
    (6.0, -20.0)
    """
    return max(cash - short_value, 0.0) * cash_rate - max(-cash, 0.0) * margin_rate
