"""The account as the risk gate sees it: positions, prices, volumes, and scenarios of the next session."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from serving.risk import (
    LEAST_SESSIONS,
    WARM_UP_SESSIONS,
    RiskAccount,
    RiskGuard,
    expected_volatility,
    filtered_scenarios,
    limits_of,
)

if TYPE_CHECKING:
    from lake.settings import Settings
    from serving.desk.account import DeskAccount
    from serving.desk.broker import BrokerStatement
    from serving.desk.gathering import DeskMarket

VOLUME_SESSIONS = 20
LEAST_RETURNS = LEAST_SESSIONS + WARM_UP_SESSIONS
ORDERS_A_SECOND = 20.0
"""Pace at which the orders of one session are sent, by the market's clock."""


def guard_of(
    configured: "Settings",
    account: "DeskAccount",
    market: "DeskMarket",
    statement: "BrokerStatement",
    before: Sequence[dict[str, Any]],
) -> RiskGuard:
    """Return the guard of an account: every order passes it, and it looks at the switch before each.

    Parameters
    ----------
    before
        Rows of `equity` of the account, the oldest first: the loss of the session and the drawdown follow from them.
    """
    values = [row["equity"] for row in before] or [account.capital]
    held = RiskAccount(
        equity=statement.valuation.equity,
        day_start_equity=values[-2] if len(values) > 1 else account.capital,
        peak_equity=max(*values, account.capital),
        scenarios=scenarios_of(market.bars),
    )
    volumes = _volumes(market.bars)
    for symbol, price in statement.closes.items():
        position = statement.book.positions.get(symbol)
        priced = market.last_bars.get(symbol)
        held.hold(
            symbol,
            position.quantity if position else 0.0,
            price=price,
            priced_at=None if priced is None else priced.timestamp(),
            volume_shares=volumes.get(symbol),
        )
    return RiskGuard(configured.home, account.name, held, limits_of(configured))


def scenarios_of(bars: pl.DataFrame) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Return a return of the next session in each scenario by symbol; the same place is the same past session.

    A session without a bar counts as no change. A symbol with fewer than `LEAST_RETURNS` returns has no scenarios, so
    the gate does not let a position in it be opened while a limit on the value at risk is declared.
    """
    wide = bars.pivot("symbol", index="event_time", values="close").sort("event_time")
    closes = {name: wide[name].to_numpy() for name in wide.columns if name != "event_time"}
    returns = {}
    for symbol, values in closes.items():
        known = np.flatnonzero(np.isfinite(values))
        if known.size and values.size - known[0] > LEAST_RETURNS:
            path = pl.Series(values[known[0] :]).fill_nan(None).forward_fill().to_numpy()
            returns[symbol] = path[1:] / path[:-1] - 1
    if not returns:
        return {}
    found = {symbol: filtered_scenarios(each, expected_volatility(each)) for symbol, each in returns.items()}
    length = min(each.size for each in found.values())
    return {symbol: each[-length:] for symbol, each in found.items()}


def _volumes(bars: pl.DataFrame) -> dict[str, float]:
    newest = bars.sort("event_time").group_by("symbol", maintain_order=True).tail(VOLUME_SESSIONS)
    means = newest.group_by("symbol").agg(pl.col("volume").mean())
    return {symbol: mean for symbol, mean in means.iter_rows() if mean is not None and mean > 0}
