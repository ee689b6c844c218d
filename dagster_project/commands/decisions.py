"""What follows from the forecasts, in four lines: back-test, advice, limits and desk, each as a value too."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dagster_project.plurals import counted
from lake.errors import QuantlakeError

if TYPE_CHECKING:
    from rich.console import Console

    from lake.settings import Settings

SELECTED = "selected"
"""Name of the strategy file that the daily back-test runs."""
ARROWS = {"buy": "▲", "hold": "·", "sell": "▼"}
Values = dict[str, Any]


class DecisionSummary(NamedTuple):
    """One line of the summary.

    Parameters
    ----------
    name
        What it is about.
    text
        A sentence, or why there is nothing to say yet.
    values
        The same for a program; None where there is nothing yet.
    """

    name: str
    text: str
    values: Values | list[Values] | None


def decision_lines(settings: "Settings") -> tuple[DecisionSummary, ...]:
    """Return the lines as of the market's now; a part that cannot be read says why and the others are there."""
    from dagster_project.commands.run import SHOWN, shown_symbols

    symbols = shown_symbols(settings)[:SHOWN]
    parts: dict[str, Callable[[], DecisionSummary]] = {
        "back-test": lambda: _backtest(settings),
        "advice": lambda: _advice(settings, symbols),
        "limits": lambda: _limits(settings),
        "desk": lambda: _desk(settings),
    }
    lines = []
    for name, part in parts.items():
        try:
            lines.append(part())
        except QuantlakeError as error:
            lines.append(DecisionSummary(name, str(error), None))
    return tuple(lines)


def show(settings: "Settings", console: "Console") -> None:
    """Print the lines, with what they are not."""
    from rich.table import Table

    from serving.api import ADVICE_DISCLAIMER

    grid = Table.grid(padding=(0, 2))
    for line in decision_lines(settings):
        grid.add_row(f"  {line.name}", line.text)
    console.print("\nFrom the forecasts to a decision")
    console.print(grid, highlight=False, markup=False)
    console.print(ADVICE_DISCLAIMER, highlight=False, markup=False)


def _backtest(settings: "Settings") -> DecisionSummary:
    from lake.store import LakeReader
    from serving.backtest import latest_backtest

    found = latest_backtest(LakeReader.open(settings), settings.clock.now(), SELECTED)
    if found is None:
        command = settings.declared_market.command(f"backtest run {SELECTED}")
        return DecisionSummary("back-test", f"none yet; `{command}` runs the selected strategy", None)
    row = found.row
    shown = ("net_return", "sharpe", "drawdown", "exposure", "dsr", "trials", "sessions")
    beside = ("equal_weight_net_return", "equal_weight_sharpe", "equal_weight_drawdown")
    values = {"backtest_id": found.backtest_id} | {name: row[name] for name in (*shown, *beside)}
    text = (
        f"the selection earned {row['net_return']:+.1%} net in {counted(row['sessions'], 'session')}, "
        f"1/N {row['equal_weight_net_return']:+.1%}; Sharpe {_ratio(row['sharpe'])}, "
        f"1/N {_ratio(row['equal_weight_sharpe'])}; deflated {_ratio(row['dsr'])} "
        f"({counted(row['trials'], 'trial')})"
    )
    return DecisionSummary("back-test", text, values)


def _advice(settings: "Settings", symbols: Sequence[str]) -> DecisionSummary:
    from lake.store import LakeReader
    from serving.advice import advice_for
    from serving.api import PortfolioContext

    context = PortfolioContext(current_position=0.0, risk_tolerance="moderate")
    lake, now = LakeReader.open(settings), settings.clock.now()
    answers, without = advice_for(lake, symbols, context, now, home=settings.home)
    values: list[Values] = []
    for answer in answers:
        told = answer.recommendation
        values.append(
            {
                "symbol": answer.symbol,
                "action": told.action,
                "reason": told.reason,
                "expected_return": told.expected_return,
                "naive_return": told.naive_return,
                "confidence": told.confidence,
                "prediction_id": answer.prediction_id,
            }
        )
    said = [f"{each['symbol']} {ARROWS[each['action']]} {each['action']} ({each['reason']})" for each in values]
    said += [f"{each.symbol}: {each.reason}" for each in without]
    return DecisionSummary("advice", ", ".join(said), values)


def _limits(settings: "Settings") -> DecisionSummary:
    from lake.store import LakeReader
    from serving.risk import limits_of, risk_report

    found = risk_report(LakeReader.open(settings), settings.clock.now(), limits_of(settings))
    used = sorted((each for each in found.limits if each.ratio is not None), key=lambda each: -(each.ratio or 0.0))
    beyond = [each.name for each in used if each.ratio is not None and each.ratio > 1]
    most = ", ".join(f"{each.name.replace('_', ' ')} {each.ratio:.0%}" for each in used[:3])
    state = f"{counted(len(beyond), 'limit')} exceeded: {', '.join(beyond)}" if beyond else "none exceeded"
    values = [{"limit": each.name, "used": each.used, "hard": each.hard, "ratio": each.ratio} for each in used]
    return DecisionSummary("limits", f"{found.book}: {state}; most used {most}", values)


def _desk(settings: "Settings") -> DecisionSummary:
    from lake.store import Lake
    from serving.desk import desk_views, journal_of
    from serving.risk import read_latch

    switch = read_latch(settings.home)
    state = "halted until somebody resumes" if switch.is_new else switch.state
    views = desk_views(Lake.open(settings), settings) if journal_of(settings).accounts() else []
    accounts: list[Values] = [
        {
            "account": view.account.name,
            "capital": view.account.capital,
            "equity": None if view.equity is None else view.equity["equity"],
            "equal_weight_equity": None if view.equity is None else view.equity["equal_weight_equity"],
            "open_orders": len(view.orders),
            "positions": len(view.positions),
        }
        for view in views
    ]
    values: Values = {"switch": switch.state, "is_released": not switch.is_new, "accounts": accounts}
    if not accounts:
        command = settings.declared_market.command("desk start")
        return DecisionSummary("desk", f"switch {state}; no account on paper yet: `{command} --help`", values)
    said = "; ".join(map(_account, accounts))
    return DecisionSummary("desk", f"switch {state}; {said}", values)


def _account(account: Values) -> str:
    """Return an account in a phrase, 1/N beside it."""
    if account["equity"] is None:
        return f"account '{account['account']}' has traded no session yet"
    gain, null = (account[name] / account["capital"] - 1 for name in ("equity", "equal_weight_equity"))
    orders = counted(account["open_orders"], "open order")
    return f"account '{account['account']}' {gain:+.2%}, 1/N {null:+.2%}, {orders}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
