"""View models of the desk: every figure of an account with that of 1/N beside it, every vote with who overruled it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.pages import formats

if TYPE_CHECKING:
    from serving.desk import DecisionRecord, DeskRecord

COSTS = ("fee", "spread", "slippage", "impact")


@dataclass(frozen=True)
class LinkedLine:
    """A line of a table whose first cell leads to a decision."""

    decision_id: str
    name: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class DeskAccountView:
    """One account on the page.

    Parameters
    ----------
    stale
        How far the market has gone on since; empty where it has not.
    summary
        Equity and 1/N, in a sentence.
    sessions, positions
        Lines of tables, as they are printed.
    decisions, fills
        Lines that lead to a decision.
    decided_at
        Close of the decisions.
    chart
        Return over time of the account and of 1/N, for the script of the page.
    """

    account: str
    stale: str
    summary: str
    sessions: tuple[tuple[str, ...], ...]
    positions: tuple[tuple[str, ...], ...]
    decided_at: str
    decisions: tuple[LinkedLine, ...]
    fills: tuple[LinkedLine, ...]
    chart: dict[str, Any]


@dataclass(frozen=True)
class DecisionView:
    """The page of one decision."""

    decision_id: str
    symbol: str
    summary: str
    facts: tuple[tuple[str, str], ...]
    votes: tuple[tuple[str, ...], ...]
    orders: tuple[tuple[str, ...], ...]
    fills: tuple[tuple[str, ...], ...]
    seal: str


def desk_view(found: "DeskRecord", later: int) -> DeskAccountView:
    """Return the view of an account.

    Parameters
    ----------
    later
        Closes since its newest session.
    """
    first, last = found.equity[0], found.equity[-1]
    status = {row["order_id"]: row["status"] for row in found.orders}
    gain, null = last["equity"] / first["equity"] - 1, last["equal_weight_equity"] / first["equal_weight_equity"] - 1
    return DeskAccountView(
        account=found.account,
        stale=(
            f"The account stands at {formats.instant(last['event_time'])}, {formats.count(later, 'session')} ago: the "
            "desk has not run since, or the bars are not there yet. `quantlake desk decide` runs it."
            if later
            else ""
        ),
        summary=(
            f"{formats.instant(last['event_time'])}: equity {_money(last['equity'])}, {formats.signed(gain, 2)} in "
            f"{formats.count(len(found.equity), 'session')}; 1/N under the same costs "
            f"{_money(last['equal_weight_equity'])}, {formats.signed(null, 2)}. Gross {formats.percent(last['gross'])} "
            f"of equity, drawdown {formats.percent(last['drawdown'], 2)}, costs {_money(last['costs'])} so far."
        ),
        sessions=tuple(
            (
                formats.instant(row["event_time"]), _money(row["equity"]), _money(row["equal_weight_equity"]),
                _money(row["cash"]), formats.percent(row["gross"]), _money(row["costs"]),
                _money(row["equal_weight_costs"]),
            )
            for row in reversed(found.equity)
        ),
        positions=tuple(
            (
                row["symbol"], _shares(row["quantity"]), formats.price(row["average_cost"]),
                formats.price(row["price"]), formats.difference(row["unrealised"], 0),
            )
            for row in found.positions
        ),
        decided_at=formats.instant(found.decisions[0]["event_time"]) if found.decisions else "",
        decisions=tuple(
            LinkedLine(
                row["decision_id"],
                row["symbol"],
                (
                    row["action"], _shares(row["quantity"]), formats.signed(row["wanted"], 2),
                    formats.signed(row["target"], 2), formats.signed(row["equal_weight_target"], 2), row["decided_by"],
                    status.get(row["order_id"], "no order"),
                ),
            )
            for row in found.decisions
        ),
        fills=tuple(
            LinkedLine(
                row["order_id"],
                row["symbol"],
                (
                    formats.instant(row["event_time"]), formats.instant(row["decided_at"]), _shares(row["quantity"]),
                    formats.price(row["price"]), f"{sum(row[name] for name in COSTS):,.2f}",
                ),
            )
            for row in found.fills
        ),
        chart=_chart(found),
    )  # fmt: skip


def decision_view(found: "DecisionRecord") -> DecisionView:
    """Return the view of a decision."""
    row = found.decision
    return DecisionView(
        decision_id=row["decision_id"],
        symbol=row["symbol"],
        summary=(
            f"{row['action'].capitalize()} {_shares(abs(row['quantity']))}, decided by {row['decided_by']}: "
            f"{row['reason']}"
        ),
        facts=(
            ("Close that it knew", formats.instant(row["event_time"])),
            ("Decided at", formats.instant(row["known_time"])),
            ("Held then", _shares(row["held"])),
            ("Votes ask for", formats.signed(row["wanted"], 2)),
            ("Target", formats.signed(row["target"], 2)),
            ("1/N would hold", formats.signed(row["equal_weight_target"], 2)),
        ),
        votes=tuple(
            (
                each["source"], formats.signed(each["vote"], 2), formats.number(each["weight"], 3),
                formats.percent(each["confidence"], 0) if each["kind"] != "rule" else formats.UNKNOWN,
                each["overruled_by"] or ("followed" if each["vote"] is not None else "nothing to say"), each["reason"],
            )
            for each in found.votes
        ),
        orders=tuple(
            (
                formats.instant(each["event_time"]), each["status"], _shares(each["quantity"]), each["kind"],
                each["reason"],
            )
            for each in found.orders
        ),
        fills=tuple(
            (
                formats.instant(each["event_time"]), _shares(each["quantity"]), formats.price(each["price"]),
                *(f"{each[name]:,.2f}" for name in COSTS),
            )
            for each in found.fills
        ),
        seal=row["seal"],
    )  # fmt: skip


def _chart(found: "DeskRecord") -> dict[str, Any]:
    first = found.equity[0]
    lines = (("the account", "equity"), ("1/N", "equal_weight_equity"))
    return {
        "times": [int(row["event_time"].timestamp()) for row in found.equity],
        "range": None,
        "series": [
            {"name": name, "values": [row[column] / first[column] - 1 for row in found.equity]}
            for name, column in lines
        ],
    }


def _money(value: float) -> str:
    return f"{value:,.0f}".replace("-", "−")  # noqa: RUF001 - a true minus, as everywhere on the pages


def _shares(value: float) -> str:
    return f"{value:,.10g}".replace("-", "−")  # noqa: RUF001 - as above
