"""View models of back-tests: every figure of a strategy with those of 1/N and naive beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from serving.pages import formats

if TYPE_CHECKING:
    from serving.backtest import BacktestRecord

TITLES = {"strategy": "strategy", "equal_weight": "1/N", "naive": "naive (cash)"}
LINES = (
    ("strategy", "equity", "strategy, net"),
    ("strategy", "gross_equity", "strategy, gross"),
    ("equal_weight", "equity", "1/N, net"),
    ("naive", "equity", "naive (cash), net"),
)
"""Account, column and name of each line of the chart."""
FILLS = 200
"""Fills that are listed, the newest ones."""
BASIS_POINTS = 1e4


@dataclass(frozen=True)
class BacktestLine:
    """One back-test in the list of all."""

    backtest_id: str
    strategy: str
    until: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class CostStep:
    """One step from gross to net: its bars are parts of the largest return, or of the largest cost."""

    name: str
    of_strategy: str
    strategy_share: float
    of_equal_weight: str
    equal_weight_share: float


@dataclass(frozen=True)
class BacktestView:
    """The page of one back-test.

    Parameters
    ----------
    summary
        What was run on what, in a sentence.
    stale
        How far the market has gone on since; empty where it has not.
    accounts, folds, capacity, fills, sessions
        Lines of tables, as they are printed.
    waterfall
        From gross to net.
    proof
        Names and values: deflated Sharpe ratio, overfitting inside its band, trials, looks at the sessions.
    remarks
        What a reader has to know of how it came about.
    chart
        Equity over time for the script of the page, as parts of the capital.
    """

    backtest_id: str
    strategy: str
    summary: str
    stale: str
    accounts: tuple[tuple[str, ...], ...]
    waterfall: tuple[CostStep, ...]
    folds: tuple[tuple[str, ...], ...]
    capacity: tuple[tuple[str, ...], ...]
    capacity_remark: str
    proof: tuple[tuple[str, str], ...]
    shuffles: str
    universe: str
    remarks: tuple[str, ...]
    fills: tuple[tuple[str, ...], ...]
    all_fills: int
    sessions: tuple[tuple[str, ...], ...]
    chart: dict[str, Any]


def backtest_lines(records: "Sequence[BacktestRecord]") -> tuple[BacktestLine, ...]:
    """Return the list of all back-tests."""
    return tuple(
        BacktestLine(
            each.backtest_id,
            each.row["strategy"],
            formats.day(each.row["event_time"]),
            (
                formats.signed(each.row["net_return"]),
                formats.signed(each.row["equal_weight_net_return"]),
                formats.signed(each.row["naive_net_return"]),
                _ratio(each.row["sharpe"]),
                _ratio(each.row["equal_weight_sharpe"]),
                _probability(each.row["dsr"]),
                f"{each.row['trials']:,}",
            ),
        )
        for each in records
    )


def backtest_view(record: "BacktestRecord", equity: pl.DataFrame, fills: pl.DataFrame, later: int = 0) -> BacktestView:
    """Return the page of one back-test.

    Parameters
    ----------
    equity, fills
        Its rows of `backtest_sessions` and, the newest first, of `backtest_fills`.
    later
        Sessions that have closed since its last one.
    """
    row, report = record.row, record.report
    curves = _curves(equity)
    return BacktestView(
        backtest_id=record.backtest_id,
        strategy=row["strategy"],
        summary=(
            f"Held: {row['held']}. {formats.count(row['sessions'], 'session')} from "
            f"{formats.day(row['first_session'])} to {formats.day(row['event_time'])}, "
            f"{formats.count(row['symbols'], 'symbol')}, {row['delisted']} of them delisted, "
            f"capital {row['capital']:,.0f}"
        ),
        stale=(
            f"It ends at the close of {formats.day(row['event_time'])}, and {formats.count(later, 'session')} closed "
            "since. Run it again for those: `quantlake backtest run`."
            if later
            else ""
        ),
        accounts=tuple(_account(name, report["accounts"][name]) for name in TITLES),
        waterfall=_waterfall(report["accounts"]),
        folds=tuple(_fold(fold) for fold in report["folds"]),
        capacity=tuple(_point(point) for point in report["capacity"]["points"]),
        capacity_remark=report["capacity"]["remark"],
        proof=_proof(row),
        shuffles=report["shuffles"]["remark"],
        universe=report["universe"]["remark"],
        remarks=tuple(report["remarks"]),
        fills=tuple(_fill(fill) for fill in fills.head(FILLS).iter_rows(named=True)),
        all_fills=fills.height,
        sessions=tuple(
            (formats.day(at), *(formats.signed(values[place], 2) for _, values in curves["series"]))
            for place, at in reversed(list(enumerate(curves["sessions"])))
        ),
        chart={
            "times": [int(at.timestamp()) for at in curves["sessions"]],
            "series": [{"name": name, "values": values} for name, values in curves["series"]],
            "range": None,
        },
    )


def _curves(equity: pl.DataFrame) -> dict[str, Any]:
    """Closes, and the return since the start of each line."""
    sessions = equity.filter(pl.col("account") == "strategy").sort("event_time")["event_time"].to_list()
    series = []
    for account, column, name in LINES:
        values = equity.filter(pl.col("account") == account).sort("event_time")[column]
        series.append((name, [value / values[0] - 1 for value in values]))
    return {"sessions": sessions, "series": series}


def _account(name: str, figures: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        TITLES[name],
        formats.signed(figures["net_return"], 2),
        formats.signed(figures["gross_return"], 2),
        _ratio(figures["sharpe"]),
        formats.percent(figures["drawdown"]),
        formats.percent(figures["exposure"], 0),
        f"{figures['turnover']:.1f}",
    )


def _waterfall(accounts: Mapping[str, Any]) -> tuple[CostStep, ...]:
    own, equal = accounts["strategy"], accounts["equal_weight"]
    ends = [("gross", own["gross_return"], equal["gross_return"]), ("net", own["net_return"], equal["net_return"])]
    costs = [(f"less {kind}", -cost, -equal["costs"][kind]) for kind, cost in own["costs"].items()]
    return (*_steps(ends[:1], ends), *_steps(costs, costs), *_steps(ends[1:], ends))


def _steps(steps: list[tuple[str, float, float]], beside: list[tuple[str, float, float]]) -> tuple[CostStep, ...]:
    """Return steps whose bars are parts of the largest value beside them: costs would not be seen beside returns."""
    largest = max(abs(value) for _, *values in beside for value in values) or 1.0
    return tuple(
        CostStep(
            name,
            formats.difference(BASIS_POINTS * first),
            abs(first) / largest,
            formats.difference(BASIS_POINTS * second),
            abs(second) / largest,
        )
        for name, first, second in steps
    )


def _ratio(value: float | None) -> str:
    return formats.UNKNOWN if value is None else formats.difference(value, 2)


def _probability(value: float | None) -> str:
    return formats.UNKNOWN if value is None else f"{value:.2f}"


def _fold(fold: Mapping[str, Any]) -> tuple[str, ...]:
    own, equal, naive = (fold[name] for name in TITLES)
    return (
        f"{fold['first_session'][:10]} to {fold['last_session'][:10]}",
        f"{fold['sessions']:,}",
        formats.UNKNOWN if fold["learnt_until"] is None else fold["learnt_until"][:10],
        formats.UNKNOWN if fold["gap_sessions"] is None else f"{fold['gap_sessions']:,}",
        f"{fold['embargoed']:,}",
        formats.signed(own["net_return"], 2),
        _ratio(own["sharpe"]),
        formats.signed(equal["net_return"], 2),
        _ratio(equal["sharpe"]),
        formats.signed(naive["net_return"], 2),
    )


def _point(point: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"{point['equity']:,.0f}",
        _ratio(point["sharpe"]),
        _ratio(point["equal_weight_sharpe"]),
    )


def _proof(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    pbo = (
        "needs two strategies on the same sessions"
        if row["pbo"] is None
        else f"{row['pbo']:.2f}, on noise {row['pbo_low']:.2f} to {row['pbo_high']:.2f}"
    )
    worth = formats.UNKNOWN if row["effective_sessions"] is None else f"{math.floor(row['effective_sessions']):,}"
    return (
        ("deflated Sharpe ratio (DSR)", _probability(row["dsr"])),
        ("trials of its family (N)", f"{row['trials']:,}"),
        ("independent sessions", worth),
        ("probability of back-test overfitting (PBO)", pbo),
        ("hold-out opened", formats.count(row["holdout_openings"], "time")),
    )


def _fill(fill: Mapping[str, Any]) -> tuple[str, ...]:
    costs = sum(fill[name] for name in ("fee", "spread", "slippage", "impact"))
    return (
        fill["symbol"],
        formats.day(fill["event_time"]),
        formats.day(fill["decided_at"]),
        formats.difference(fill["quantity"], 0),
        formats.price(fill["price"]),
        formats.price(costs),
    )
