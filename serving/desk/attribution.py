"""What earned the result of an account: each strategy, rules and limits, execution, and costs apart.

Over a session from one close to the next, a strategy's line is what its part of the target would have earned: weight
times vote, in shares of the equity at the close, times the return of the symbol. `rules and limits` is the same of the
difference that they made to the target. `execution` is the rest: lots, trades that were too small, waiting for the next
open, orders that were not filled, and closes at which nothing was decided (A. Perold, "The implementation shortfall",
Journal of Portfolio Management 14, 1988). The lines are fractions of whole numbers, so they add up exactly.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from lake.execution import TradedBar
from lake.tables import DECISIONS, EQUITY
from serving.desk.account import DeskAccount
from serving.desk.journal import DeskJournal, Row

RULES, EXECUTION = "rules and limits", "execution"


@dataclass(frozen=True)
class Attribution:
    """The result of an account by what earned it, in the currency of the market.

    Parameters
    ----------
    account
        Which one.
    sessions
        That were traded.
    lines
        Gain by strategy, of rules and limits, and of execution, before costs; exact.
    costs
        Of orders and positions.
    result
        Equity less capital: the sum of the lines less the costs, exactly.
    equal_weight_result, equal_weight_costs
        Of 1/N under the same costs.
    """

    account: str
    sessions: int
    lines: Mapping[str, Fraction]
    costs: Fraction
    result: Fraction
    equal_weight_result: Fraction
    equal_weight_costs: Fraction

    def to_dict(self) -> dict[str, object]:
        """Return it as plain numbers."""
        return {
            "account": self.account,
            "sessions": self.sessions,
            "lines": {name: float(value) for name, value in self.lines.items()},
            "costs": float(self.costs),
            "result": float(self.result),
            "equal_weight_result": float(self.equal_weight_result),
            "equal_weight_costs": float(self.equal_weight_costs),
        }


def attribute(
    journal: DeskJournal,
    account: DeskAccount,
    stream: Sequence[tuple[datetime, Sequence[TradedBar]]],
    until: datetime | None = None,
) -> Attribution:
    """Return what earned the result of an account.

    Parameters
    ----------
    stream
        Bars as they were recorded.
    until
        Last session that counts; all by default.
    """
    decided: dict[datetime, list[Row]] = {}
    for row in journal.rows(DECISIONS, account.name):
        decided.setdefault(row["event_time"], []).append(row)
    equity = {row["event_time"]: row for row in journal.rows(EQUITY, account.name)}
    sessions = [each for each in stream if each[0] in equity and (until is None or each[0] <= until)]
    lines: dict[str, Fraction] = {}
    before: dict[str, float] = {}
    for place, (_, bars) in enumerate(sessions):
        if place:
            last = sessions[place - 1][0]
            _add(lines, decided.get(last, []), Fraction(equity[last]["equity"]), before, bars)
        before |= {bar.symbol: bar.close for bar in bars}
    capital = Fraction(account.capital)
    end = equity[sessions[-1][0]] if sessions else None
    result = Fraction(end["equity"]) - capital if end else Fraction(0)
    costs = Fraction(end["costs"]) if end else Fraction(0)
    lines.setdefault(RULES, Fraction(0))
    ordered = {name: lines[name] for name in sorted(lines, key=lambda name: (name == RULES, name))}
    ordered[EXECUTION] = result + costs - sum(ordered.values(), Fraction(0))
    return Attribution(
        account.name,
        len(sessions),
        ordered,
        costs,
        result,
        Fraction(end["equal_weight_equity"]) - capital if end else Fraction(0),
        Fraction(end["equal_weight_costs"]) if end else Fraction(0),
    )


def _add(
    lines: dict[str, Fraction],
    decided: Sequence[Row],
    equity: Fraction,
    before: Mapping[str, float],
    bars: Sequence[TradedBar],
) -> None:
    """Add what the targets of one close earned until the next."""
    returns = {
        bar.symbol: (Fraction(bar.close) * Fraction(bar.split) + Fraction(bar.dividend) * Fraction(bar.split))
        / Fraction(before[bar.symbol])
        - 1
        for bar in bars
        if bar.symbol in before
    }
    for row in decided:
        gain = equity * returns.get(row["symbol"], Fraction(0))
        if gain == 0:
            continue
        asked = Fraction(0)
        for vote in json.loads(row["content"])["result"]["votes"]:
            if vote["weight"] == 0 or vote["overruled_by"] == "its expiry":
                continue
            part = Fraction(vote["weight"]) * Fraction(vote["target"] or 0.0)
            asked += part
            source = vote["source"]
            lines[source] = lines.get(source, Fraction(0)) + part * gain
        lines[RULES] = lines.get(RULES, Fraction(0)) + (Fraction(row["target"]) - asked) * gain
