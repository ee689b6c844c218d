"""Commands of `quantlake backtest`: run a strategy file with costs, and look at what was run before."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dagster_project.commands.shell import (
    AsCsv,
    AsJson,
    DataTable,
    ShownColumn,
    console,
    day_of,
    fixed,
    is_for_program,
    percent,
    print_line,
    progress_on_stderr,
    require_lake,
    taking_turn,
)
from dagster_project.plurals import counted

if TYPE_CHECKING:
    from datetime import datetime

    from lake.store import Lake
    from serving.backtest import BacktestRecord

app = typer.Typer(help="Back-tests: a strategy with costs, beside 1/N and naive.", no_args_is_help=True)

AsOf = Annotated[str | None, typer.Option("--as-of", help="A day, or an instant with its zone; by default now.")]
TITLES = {"strategy": "strategy", "equal_weight": "1/N", "naive": "naive (cash)"}
COLUMNS = (
    ShownColumn("backtest_id", "id"),
    ShownColumn("strategy", wraps=True),
    ShownColumn("event_time", "up to", shown=day_of),
    ShownColumn("net_return", "net %", shown=percent(1)),
    ShownColumn("sharpe", "Sharpe", shown=fixed(2)),
    ShownColumn("equal_weight_net_return", "1/N net %", shown=percent(1)),
    ShownColumn("equal_weight_sharpe", "1/N Sharpe", shown=fixed(2)),
    ShownColumn("naive_net_return", "naive %", shown=percent(1), rank=2),
    ShownColumn("dsr", "DSR", shown=fixed(2), rank=1),
    ShownColumn("trials", rank=1),
)


@app.command()
def run(
    strategy: Annotated[str, typer.Argument(help="A YAML file, or the name of a packaged example.")] = "selected",
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Back-test a strategy file on the replayed forecasts, with costs, and record it in the trial ledger."""
    from lake.settings import settings
    from lake.store import Lake
    from serving.backtest import draw_backtest, equity_of, load_strategy, run_backtest

    configured = settings()
    file = load_strategy(strategy)
    require_lake(configured)
    lake, is_quiet = Lake.open(configured), as_json or as_csv
    with taking_turn("backtest"), progress_on_stderr(when=is_quiet):
        found = run_backtest(lake, configured, configured.clock, file, print_line)
        curves = equity_of(lake, configured.clock.now(), found.backtest_id)
        picture = draw_backtest(found, curves, configured.reports / f"backtest-{found.backtest_id}.png")
    if is_for_program(found.plain(), DataTable.of_records([found.row]), as_json=as_json, as_csv=as_csv):
        return
    _show(found)
    print_line(f"\nPicture: {picture}")
    print_line("On the dashboard: /backtests/" + found.backtest_id)


@app.command("list")
def list_all(as_of: AsOf = None, *, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """List the back-tests that were run, the newest first."""
    from serving.backtest import list_backtests

    lake, at = _lake_at(as_of)
    rows = [dict(each.row) for each in list_backtests(lake, at)]
    if is_for_program(rows, DataTable.of_records(rows), as_json=as_json, as_csv=as_csv):
        return
    if not rows:
        print_line("No back-test was run yet. Run one with `quantlake backtest run selected`.")
        return
    console().print(DataTable.of("Back-tests, the newest first", COLUMNS, rows))


@app.command()
def show(
    backtest_id: Annotated[str | None, typer.Argument(help="Its first digits; the newest when left out.")] = None,
    as_of: AsOf = None,
    *,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Show a back-test: accounts beside each other, costs, folds, capacity, and what it proves."""
    from serving.backtest import backtest_named

    lake, at = _lake_at(as_of)
    found = backtest_named(lake, at, backtest_id)
    if is_for_program(found.plain(), DataTable.of_records([found.row]), as_json=as_json, as_csv=as_csv):
        return
    _show(found)


def _lake_at(as_of: str | None) -> "tuple[Lake, datetime]":
    from lake.clock import instant_of
    from lake.settings import settings
    from lake.store import Lake

    configured = settings()
    require_lake(configured)
    now = configured.clock.now()
    return Lake.open(configured), now if as_of is None else min(instant_of(as_of), now)


def _show(found: "BacktestRecord") -> None:
    from serving.api import DISCLAIMER

    row, report = found.row, found.report
    print_line(
        f"\nBack-test {found.backtest_id}: {row['strategy']} ({row['held']}), {counted(row['sessions'], 'session')} "
        f"from {row['first_session']:%Y-%m-%d} to {row['event_time']:%Y-%m-%d}, {counted(row['symbols'], 'symbol')}, "
        f"{row['delisted']} of them delisted, capital {row['capital']:,.0f}.\n"
    )
    for table in (_accounts(report), _costs(report), _folds(report), _capacity(report)):
        console().print(table)
    for sentence in _sentences(found):
        print_line(sentence)
    print_line(DISCLAIMER)


def _accounts(report: Any) -> DataTable:
    columns = (
        ShownColumn("account"),
        ShownColumn("net_return", "net %", shown=percent(2)),
        ShownColumn("gross_return", "gross %", shown=percent(2)),
        ShownColumn("sharpe", "Sharpe", shown=fixed(2)),
        ShownColumn("drawdown", "drawdown %", shown=percent(1)),
        ShownColumn("exposure", "exposure %", shown=percent(0), rank=2),
        ShownColumn("turnover", "turnover a year", shown=fixed(1), rank=1),
    )
    rows = [{"account": TITLES[name], **figures} for name, figures in report["accounts"].items()]
    return DataTable.of("Net and gross, under the same costs", columns, rows)


def _costs(report: Any) -> DataTable:
    accounts = report["accounts"]
    rows = [
        {"cost": kind, **{name: 1e4 * accounts[name]["costs"][kind] for name in TITLES}}
        for kind in accounts["strategy"]["costs"]
    ]
    columns = (ShownColumn("cost"), *(ShownColumn(name, title, shown=fixed(1)) for name, title in TITLES.items()))
    return DataTable.of("\nWhat trading and holding cost, in bp of the capital", columns, rows)


def _folds(report: Any) -> DataTable:
    columns = (
        ShownColumn("name", "fold from"),
        "sessions",
        ShownColumn("gap_sessions", "gap", rank=1),
        ShownColumn("embargoed", rank=2),
        ShownColumn("net", "net %", shown=percent(2)),
        ShownColumn("sharpe", "Sharpe", shown=fixed(2)),
        ShownColumn("equal_net", "1/N net %", shown=percent(2)),
        ShownColumn("equal_sharpe", "1/N Sharpe", shown=fixed(2)),
        ShownColumn("naive_net", "naive %", shown=percent(2), rank=3),
    )
    rows = [
        {
            **fold,
            "net": fold["strategy"]["net_return"],
            "sharpe": fold["strategy"]["sharpe"],
            "equal_net": fold["equal_weight"]["net_return"],
            "equal_sharpe": fold["equal_weight"]["sharpe"],
            "naive_net": fold["naive"]["net_return"],
        }
        for fold in report["folds"]
    ]
    return DataTable.of("\nFolds; gap: closes between the newest label that was learnt and the fold", columns, rows)


def _capacity(report: Any) -> DataTable:
    columns = (
        ShownColumn("equity", shown="{:,.0f}".format),
        ShownColumn("sharpe", "net Sharpe", shown=fixed(2)),
        ShownColumn("equal_weight_sharpe", "1/N net Sharpe", shown=fixed(2)),
    )
    return DataTable.of("\nCapacity: net Sharpe ratio by size of equity", columns, report["capacity"]["points"])


def _sentences(found: "BacktestRecord") -> list[str]:
    row, report = found.row, found.report
    dsr = "there is none without a spread of gains" if row["dsr"] is None else f"{row['dsr']:.3f}"
    pbo = (
        "needs two strategies that were back-tested on the same sessions"
        if row["pbo"] is None
        else f"{row['pbo']:.2f} (on noise {row['pbo_low']:.2f} to {row['pbo_high']:.2f})"
    )
    worth = "" if row["effective_sessions"] is None else f", {row['effective_sessions']:.0f} independent sessions"
    return [
        f"\nDeflated Sharpe ratio: {dsr}, given {counted(row['trials'], 'trial')} of its family{worth}.",
        f"Probability of back-test overfitting: {pbo}.",
        f"These sessions were looked at {counted(row['holdout_openings'], 'time')} for this question.",
        report["shuffles"]["remark"],
        report["capacity"]["remark"],
        report["universe"]["remark"],
        *report["remarks"],
    ]
