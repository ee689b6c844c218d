"""Declared limits of a size by risk tolerance, and the cost of a round trip."""

from dataclasses import dataclass

from lake.errors import ConfigError, UnknownNameError
from serving.strategies import COST_BPS

BPS = 1e-4


@dataclass(frozen=True)
class AdviceLimits:
    """What bounds the size of a position; fractions are of the equity.

    Parameters
    ----------
    annual_volatility_target
        Largest volatility a year that the position may add by itself.
    stop_loss_budget
        Largest loss at the stop, costs included.
    largest_position
        Largest value of the position.
    kelly_fraction
        Share of the whole Kelly size that is taken.
    stop_atr_multiple
        Least distance of the stop, in average true ranges of 14 bars.
    stop_slippage
        How much farther than the stop a sale at it is reckoned to fill, as a share of the stop's distance.
    lot_shares
        Shares that are traded together.
    """

    annual_volatility_target: float
    stop_loss_budget: float
    largest_position: float
    kelly_fraction: float = 0.5
    stop_atr_multiple: float = 2.0
    stop_slippage: float = 0.05
    lot_shares: float = 1.0

    def __post_init__(self) -> None:
        """Refuse limits that no size keeps."""
        values = (
            self.annual_volatility_target,
            self.stop_loss_budget,
            self.largest_position,
            self.kelly_fraction,
            self.stop_atr_multiple,
            self.lot_shares,
        )
        if min(values) <= 0 or self.kelly_fraction > 1 or self.stop_slippage < 0:
            raise ConfigError(
                f"Limits of advice are {self}. Each is above 0, stop_slippage at least 0, and kelly_fraction at most "
                "1: more than the whole Kelly size loses growth and adds risk."
            )


TOLERANCES: dict[str, AdviceLimits] = {
    "low": AdviceLimits(annual_volatility_target=0.02, stop_loss_budget=0.0025, largest_position=0.10),
    "moderate": AdviceLimits(annual_volatility_target=0.04, stop_loss_budget=0.005, largest_position=0.20),
    "high": AdviceLimits(annual_volatility_target=0.08, stop_loss_budget=0.01, largest_position=0.40),
}
"""Limits by risk tolerance. They are declared, not fitted: no result of the past chose them."""


def limits_of(risk_tolerance: str) -> AdviceLimits:
    """Return the limits of a risk tolerance.

    Raises
    ------
    UnknownNameError
        If there is none of that name; it lists the known ones.

    Examples
    --------
    >>> limits_of("moderate").stop_loss_budget
    0.005
    """
    if risk_tolerance not in TOLERANCES:
        raise UnknownNameError("risk tolerance", risk_tolerance, TOLERANCES)
    return TOLERANCES[risk_tolerance]


@dataclass(frozen=True)
class AdviceCosts:
    """Cost of trading, as a share of the traded value.

    Parameters
    ----------
    one_way_bps
        Fee, half of the spread and slippage of one trade, in hundredths of a percent; by default what the paper
        strategies pay for their turnover.

    Examples
    --------
    >>> AdviceCosts(10.0).round_trip
    0.002
    """

    one_way_bps: float = COST_BPS

    def __post_init__(self) -> None:
        """Refuse a cost that pays."""
        if self.one_way_bps < 0:
            raise ConfigError(f"The cost of a trade is {self.one_way_bps} bp, and it is at least 0.")

    @property
    def round_trip(self) -> float:
        """Cost of buying and selling again, as a fraction of the value."""
        return 2.0 * self.one_way_bps * BPS


def paper_costs() -> AdviceCosts:
    """Return the cost that is reckoned with where nothing else is declared: that of the paper strategies."""
    return AdviceCosts()
