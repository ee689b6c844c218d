"""What trading and holding costs: the declared knobs, each with its unit in its name."""

import math
from dataclasses import dataclass, fields

from lake.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Costs:
    """Costs of orders and of positions. Raising any of them can only lower the result of a given list of orders.

    Every kind of order pays all costs of an order, a stop and a limit too: what rests in the book is filled when the
    price moves against it.

    Parameters
    ----------
    fee_bps
        Commission in basis points of the value traded.
    fee_per_share
        Commission per share, in money, added to `fee_bps`.
    fee_minimum
        Least commission of an order with at least one fill, in money, over all of its fills together.
    half_spread_bps
        Half of the distance between bid and ask, in basis points of the price.
    slippage_bps
        What the price moves until the order arrives, in basis points.
    impact_coefficient
        `b` of the square-root law: q shares of a bar with V shares move the price by ``b sigma sqrt(q / V)``, where
        sigma is the volatility per session. [1]_
    most_of_volume
        Largest part of a bar's volume that all fills of the account take together; None for no cap. The rest of an
        order waits or ends by its time in force.
    declared_volume_shares
        Volume of bars that have none, or zero, in shares as traded; None refuses orders in them where impact or cap
        need a volume.
    borrow_bps_a_year
        Fee on the value of shares sold short, per calendar day.
    margin_bps_a_year
        Interest on borrowed cash, per calendar day.
    cash_bps_a_year
        Interest earned on cash beyond the value of shares sold short, per calendar day. It is an income: raising it
        raises the result.
    delisting_haircut
        Part of the last price that a holder loses when an instrument is delisted. Who is short buys back at the
        last price, so that nobody gains by the assumption. -30 % is the mean found for delistings for performance. [2]_
    days_a_year
        Calendar days that a year's interest is spread over: 360 by the custom of the money market.

    Raises
    ------
    ConfigError
        If a knob is negative or not a number, or a part is not between 0 and 1.

    References
    ----------
    .. [1] J. Gatheral, "No-dynamic-arbitrage and market impact", Quantitative Finance 10 (2010), section 3.
    .. [2] T. Shumway, "The delisting bias in CRSP data", Journal of Finance 52 (1997).

    Examples
    --------
    >>> Costs(fee_bps=0.5).fee_bps
    0.5
    """

    fee_bps: float = 1.0
    fee_per_share: float = 0.0
    fee_minimum: float = 0.0
    half_spread_bps: float = 2.0
    slippage_bps: float = 2.0
    impact_coefficient: float = 1.0
    most_of_volume: float | None = 0.10
    declared_volume_shares: float | None = None
    borrow_bps_a_year: float = 50.0
    margin_bps_a_year: float = 600.0
    cash_bps_a_year: float = 0.0
    delisting_haircut: float = 0.30
    days_a_year: float = 360.0

    def __post_init__(self) -> None:
        for knob in fields(self):
            value = getattr(self, knob.name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"Costs have {knob.name} = {value}; a number from 0 on is needed.")
        if self.delisting_haircut > 1:
            raise ConfigError(f"Costs have delisting_haircut = {self.delisting_haircut}; it is a part, at most 1.")
        for name in ("most_of_volume", "declared_volume_shares", "days_a_year"):
            if getattr(self, name) == 0:
                raise ConfigError(f"Costs have {name} = 0, with which nothing could be computed; give more than 0.")

    @property
    def needs_volume(self) -> bool:
        """Whether a fill cannot be computed without the volume of its bar."""
        return self.impact_coefficient > 0 or self.most_of_volume is not None


NO_COSTS = Costs(
    fee_bps=0,
    half_spread_bps=0,
    slippage_bps=0,
    impact_coefficient=0,
    most_of_volume=None,
    borrow_bps_a_year=0,
    margin_bps_a_year=0,
    delisting_haircut=0,
)
"""Gross: nothing costs anything, and any quantity is filled."""
