"""What a decision is about: one symbol of one account at one close, and what is known of it then."""

from dataclasses import dataclass
from datetime import datetime

from serving.risk import SwitchState


@dataclass(frozen=True)
class DeskSituation:
    """One symbol of an account as a decision sees it.

    Parameters
    ----------
    account, symbol
        Whose, and of what.
    close
        Close that is decided at; an order trades from the next open on.
    decided_at
        Market time of the decision.
    held
        Shares, below zero where sold short.
    average_cost
        Per share; 0 where nothing is held.
    price
        Last close as traded.
    equity
        Of the account at the last closes.
    gross_wanted
        Sum of the absolute shares of equity that votes ask for over all symbols.
    equal_weight_target
        Share of equity that 1/N would hold.
    stale_sessions
        Sessions of the market since the symbol's last bar; 0 where it has one at `close`.
    has_open
        Whether its bars have an open; without one an order is for the next close.
    switch, switch_reason
        State of the switch for this account and symbol, and why.
    earnings_in_sessions
        Sessions until earnings are announced, below 0 after; None where no date is known.
    has_earnings_calendar
        Whether dates of earnings are known to the platform at all.
    """

    account: str
    symbol: str
    close: datetime
    decided_at: datetime
    held: float
    average_cost: float
    price: float
    equity: float
    gross_wanted: float
    equal_weight_target: float
    stale_sessions: int = 0
    has_open: bool = True
    switch: SwitchState = "active"
    switch_reason: str = ""
    earnings_in_sessions: int | None = None
    has_earnings_calendar: bool = False

    @property
    def held_share(self) -> float:
        """Share of equity that is held."""
        return self.held * self.price / self.equity if self.equity > 0 else 0.0

    @property
    def decision_id(self) -> str:
        """Identifier of the decision, and of the order that follows from it: the same whenever it is made again."""
        return f"{self.account}.{self.close:%Y%m%dT%H%M}.{self.symbol}"
