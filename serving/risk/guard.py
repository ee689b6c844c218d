"""The guard of one account: gate, switch and trips together, for whatever sends orders."""

import logging
from collections import deque
from pathlib import Path

from lake.execution import Order
from serving.risk.exposures import RiskAccount
from serving.risk.gate import Verdict, judge
from serving.risk.latch import read_latch
from serving.risk.limits import Limits
from serving.risk.states import EVERYTHING, Scope
from serving.risk.switch import restrict
from serving.risk.trips import Breach, LossWatch

logger = logging.getLogger("quantlake.risk")

RUNAWAY_REFUSALS = 100
"""Refusals of one strategy within a second, for rate, open orders or a parent that is used up, that halt it."""
RUNAWAY_LIMITS = frozenset({"orders_a_second", "open_orders", "parent", "order_id"})
PART = "risk guard"


class RiskGuard:
    """Judges every order of an account, looks at the latch before each, and halts what runs away or loses too much.

    Parameters
    ----------
    home
        Where the latch is.
    name
        Of the account.
    account, limits
        What orders are judged by.
    watch
        Of the account's losses; None where no quotes come.
    """

    def __init__(
        self, home: Path, name: str, account: RiskAccount, limits: Limits, *, watch: LossWatch | None = None
    ) -> None:
        self.home, self.name, self.account, self.limits, self.watch = home, name, account, limits, watch
        self._refused: dict[str, deque[float]] = {}

    def submit(self, order: Order, at: float, *, strategy: str = "", person: str = "", replaces: str = "") -> Verdict:
        """Judge an order, and count it as open where it may be sent; a replaced one is counted as cancelled.

        Parameters
        ----------
        at
            In seconds of the clock that the account's prices are stamped with.
        strategy
            Which sends it; a runaway halts this strategy alone, and the account where it is empty.
        """
        state = read_latch(self.home).state_of(self.name, strategy, order.symbol)
        verdict = judge(order, self.account, self.limits, state, at, person=person, replaces=replaces)
        if verdict.action == "refuse":
            self._note_refusal(verdict, strategy, at)
            return verdict
        if replaces in self.account.open_orders:
            self.account.cancel(replaces)
        self.account.place(order, verdict.quantity, at)
        return verdict

    def quote(self, symbol: str, price: float, at: float, cash: float) -> tuple[Breach, ...]:
        """Take in a quote; losses that are confirmed put the account into `reducing`.

        Parameters
        ----------
        cash
            Of the account, in currency.
        """
        if symbol in self.account.symbols:
            line = self.account.symbols[symbol]
            line.price, line.priced_at = price, at
        if self.watch is None:
            return ()
        self.watch.quote(symbol, price, at)
        shares = {name: line.shares for name, line in self.account.symbols.items()}
        breaches = self.watch.look(cash, shares)
        scope = Scope("account", self.name)
        if breaches and all(each.scope not in {scope, EVERYTHING} for each in read_latch(self.home).restrictions):
            first = breaches[0]
            restrict(
                self.home,
                "reducing",
                by=PART,
                reason=f"{first.limit} is {first.used:.2%}, and {first.hard:.2%} is allowed",
                scope=scope,
                confirmations=first.confirmations,
                figures={"limit": first.limit, "used": first.used, "hard": first.hard},
            )
        return breaches

    def _note_refusal(self, verdict: Verdict, strategy: str, at: float) -> None:
        if verdict.limit not in RUNAWAY_LIMITS:
            return
        recent = self._refused.setdefault(strategy, deque(maxlen=RUNAWAY_REFUSALS))
        recent.append(at)
        if len(recent) == RUNAWAY_REFUSALS and recent[0] > at - 1.0:
            recent.clear()
            scope = Scope("strategy", strategy) if strategy else Scope("account", self.name)
            reason = f"{RUNAWAY_REFUSALS} orders were refused within a second, the last one because: {verdict.reason}"
            logger.error("a runaway was halted", extra={"scope": str(scope), "reason": reason})
            restrict(
                self.home,
                "halted",
                by=PART,
                reason=reason,
                scope=scope,
                confirmations=RUNAWAY_REFUSALS,
                figures={"limit": verdict.limit, "used": verdict.used, "hard": verdict.hard},
            )
