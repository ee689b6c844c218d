"""Trips: losses that stop trading by themselves, once three distinct quotes of each symbol agree on them.

Each symbol is valued at the most favourable of its last three quotes: a loss that is still there is in all three, so
one bad tick never trips, and a true loss does with the third quote. The peak is the mirror image: a spike up that no
other quote confirms raises no peak that a later, ordinary price would have fallen from.
"""

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from serving.risk.limits import Limits

CONFIRMATIONS = 3
"""Distinct quotes of a symbol that a loss in it needs."""


class Breach(NamedTuple):
    """A loss beyond its hard value that enough quotes agree on.

    Parameters
    ----------
    limit, used, hard
        Name, figure and hard value, as shares.
    confirmations
        Distinct quotes that agree.
    """

    limit: str
    used: float
    hard: float
    confirmations: int = CONFIRMATIONS


class LossWatch:
    """Watches the loss of a session and the drawdown of one account.

    Parameters
    ----------
    limits
        Hard values of `daily_loss_of_equity` and `drawdown_of_peak`.
    day_start_equity, peak_equity
        In currency, when the session began and the highest before.
    references
        Price per share of each symbol that is known to be good, e.g. the last close: it stands in for quotes until
        there are three.
    """

    def __init__(
        self, limits: Limits, *, day_start_equity: float, peak_equity: float, references: Mapping[str, float]
    ) -> None:
        self._limits, self.day_start_equity, self.peak_equity = limits, day_start_equity, peak_equity
        self._quotes: dict[str, deque[float]] = {}
        self._quoted_at: dict[str, float] = {}
        for symbol, price in references.items():
            self._quotes[symbol] = deque([price], maxlen=CONFIRMATIONS)

    def quote(self, symbol: str, price: float, at: float) -> None:
        """Take in a quote; one that is not newer than the last of its symbol is the same one again, and is ignored.

        Parameters
        ----------
        price
            Currency per share; one that is not positive is no quote.
        at
            When it was made, in seconds of the market's clock.
        """
        if at > self._quoted_at.get(symbol, float("-inf")) and price > 0:
            self._quoted_at[symbol] = at
            self._quotes.setdefault(symbol, deque(maxlen=CONFIRMATIONS)).append(price)

    def look(self, cash: float, shares: Mapping[str, float]) -> tuple[Breach, ...]:
        """Return the losses beyond their hard values that three quotes of each symbol agree on.

        Parameters
        ----------
        cash, shares
            Of the account; symbols without a quote are left out of both sides, and so confirm nothing.
        """
        best = cash + sum(held * self._extreme(symbol, held > 0) for symbol, held in shares.items() if held)
        worst = cash + sum(held * self._extreme(symbol, held < 0) for symbol, held in shares.items() if held)
        self.peak_equity = max(self.peak_equity, worst)
        losses = {
            "daily_loss_of_equity": 1 - best / self.day_start_equity,
            "drawdown_of_peak": 1 - best / self.peak_equity,
        }
        return tuple(
            Breach(name, used, self._limits.bound(name).hard)
            for name, used in losses.items()
            if used > self._limits.bound(name).hard
        )

    def begin_session(self, equity: float) -> None:
        """Measure the loss of the session from this equity on."""
        self.day_start_equity = equity

    def _extreme(self, symbol: str, is_high: bool) -> float:
        quotes = self._quotes.get(symbol)
        if not quotes:
            return 0.0
        return max(quotes) if is_high else min(quotes)
