"""How to spread a large order over time: cost against risk, in closed form (Almgren and Chriss)."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class LinearImpact:
    """Market impact that is linear in the rate of trading, as in [1]_.

    Parameters
    ----------
    volatility
        Standard deviation of the price, in money per share and square root of a day.
    half_spread
        Fixed cost per share, in money: epsilon.
    temporary
        Money per share for each share per day that is traded: eta.
    permanent
        Money per share for each share that is traded, and stays: gamma.

    References
    ----------
    .. [1] R. Almgren, N. Chriss, "Optimal execution of portfolio transactions", Journal of Risk 3 (2000).
    """

    volatility: float
    half_spread: float
    temporary: float
    permanent: float

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"LinearImpact has {name} = {value}; a number from 0 on is needed.")


@dataclass(frozen=True, eq=False)
class ExecutionSchedule:
    """Shares still held after each period, and what selling by it costs.

    Parameters
    ----------
    holdings
        Shares, ``[period + 1]``: all of them first, 0 last.
    cost
        Expected cost against the first price, in money.
    deviation
        Standard deviation of the cost, in money.
    kappa
        Rate, per day, by which the holdings decay; 0 for the even schedule.
    """

    holdings: npt.NDArray[np.float64]
    cost: float
    deviation: float
    kappa: float


def optimal_schedule(
    shares: float, days: float, periods: int, impact: LinearImpact, risk_aversion: float = 0.0
) -> ExecutionSchedule:
    """Return the schedule with the least ``cost + risk_aversion * variance``.

    Parameters
    ----------
    shares
        Shares to sell, or to buy.
    days
        Time for it.
    periods
        Equal periods that the time is cut into; in each one trade is made.
    risk_aversion
        Money that a unit of variance is worth, lambda; 0 gives the even schedule.

    Raises
    ------
    ConfigError
        If nothing is to be traded, there is no time for it, or the permanent impact outweighs the temporary one.

    Examples
    --------
    >>> impact = LinearImpact(volatility=0.95, half_spread=0.0625, temporary=2.5e-6, permanent=2.5e-7)
    >>> even = optimal_schedule(1e6, 5, 5, impact)
    >>> round(even.cost), round(even.deviation**2 / 1e12, 3)
    (662500, 1.083)
    """
    if not (shares > 0 and days > 0 and periods >= 1 and risk_aversion >= 0):
        raise ConfigError(
            f"A schedule of {shares} shares over {days} days in {periods} periods at risk aversion {risk_aversion} "
            "does not exist; shares, days and periods are positive, and risk aversion is not negative."
        )
    period = days / periods
    eta = impact.temporary - impact.permanent * period / 2
    if eta <= 0:
        raise ConfigError(
            f"The permanent impact {impact.permanent} outweighs the temporary one {impact.temporary} in periods of "
            f"{period:g} days; take shorter periods."
        )
    bend = risk_aversion * impact.volatility**2 / eta
    kappa = math.acosh(bend * period**2 / 2 + 1) / period
    times = np.linspace(days, 0.0, periods + 1)
    part = np.sinh(kappa * times) / math.sinh(kappa * days) if kappa > 0 else times / days
    holdings = shares * part
    trades = -np.diff(holdings)
    cost = impact.permanent * shares**2 / 2 + impact.half_spread * shares + eta / period * float(trades @ trades)
    variance = impact.volatility**2 * period * float(holdings[1:] @ holdings[1:])
    return ExecutionSchedule(holdings, cost, math.sqrt(variance), kappa)
