"""Back-tests: a declared strategy on forecasts that were out of sample, with costs, beside 1/N and naive.

- `strategy_file`: what is run, as a frozen value, `load_strategy`; `examples` has packaged ones
- `prices`, `targets`: bars as traded, and shares of equity per close, of the strategy and of its nulls
- `folds`: stretches of sessions after all that the models learnt from
- `accounts`, `capacity`: targets through `lake.execution`, with costs, at one size of equity and at several
- `evidence`: rows of the trial ledger, written before a score is shown, and what they leave of it
- `prepared`: a strategy file with all that it is run on; `contents`: what its report holds
- `running`, `run_backtest`: from a strategy file to rows of `backtests`; `updating`: the selected strategy, daily
- `report`, `reading`: the report with its nulls, and stored ones; `latest_backtest`
- `picture`: equity and costs as a PNG
"""

from serving.backtest.accounts import traded_market
from serving.backtest.picture import draw_backtest
from serving.backtest.prices import ADJUSTED, BarPanel, read_bars
from serving.backtest.reading import (
    BacktestRecord,
    backtest_named,
    equity_of,
    fills_of,
    latest_backtest,
    list_backtests,
)
from serving.backtest.report import require_nulls
from serving.backtest.running import run_backtest
from serving.backtest.strategy_file import StrategyFile, example_names, load_strategy, parse_strategy
from serving.backtest.targets import TargetInputs, read_inputs
from serving.backtest.updating import update_backtests

__all__ = [
    "ADJUSTED",
    "BacktestRecord",
    "BarPanel",
    "StrategyFile",
    "TargetInputs",
    "backtest_named",
    "draw_backtest",
    "equity_of",
    "example_names",
    "fills_of",
    "latest_backtest",
    "list_backtests",
    "load_strategy",
    "parse_strategy",
    "read_bars",
    "read_inputs",
    "require_nulls",
    "run_backtest",
    "traded_market",
    "update_backtests",
]
