"""Strategy pool: positions, paper returns, and the selected strategy.

- `pool`: the strategies as declared values, their positions and net returns
- `halts`: what positions stand at while a symbol has no bar, and when it counts as delisted
- `paper`, `equal_volatility`: paper returns by session and strategy, and the pool scaled to one volatility
- `selection`, `assignments`: weights by regime, learned from what each has earned, and their way to the symbols
- `ratios`, `comparison`: Sharpe ratio and drawdown, and the selection beside its rivals
- `scored`: strategies and ways to use the pool as trials of the ledger
- `reviews`: the decisions that are due, stored
"""

from serving.strategies.assignments import update_assignments
from serving.strategies.equal_volatility import at_equal_volatility
from serving.strategies.halts import absences, settled_returns
from serving.strategies.paper import PaperReturns, paper_returns_of
from serving.strategies.pool import (
    COST_BPS,
    FORECAST_HORIZON,
    STRATEGIES,
    STRATEGY_NAMES,
    Sizing,
    StrategySpec,
    net_returns,
    positions,
    strategy_named,
)
from serving.strategies.ratios import drawdown_of, sharpe_of, volatility_of
from serving.strategies.reviews import update_selections
from serving.strategies.scored import strategy_trials
from serving.strategies.selection import (
    CONFIDENCE_SESSIONS,
    KNOWN_REGIMES,
    Selection,
    SelectionRule,
    confidence_in,
    select,
)

__all__ = [
    "CONFIDENCE_SESSIONS",
    "COST_BPS",
    "FORECAST_HORIZON",
    "KNOWN_REGIMES",
    "STRATEGIES",
    "STRATEGY_NAMES",
    "PaperReturns",
    "Selection",
    "SelectionRule",
    "Sizing",
    "StrategySpec",
    "absences",
    "at_equal_volatility",
    "confidence_in",
    "drawdown_of",
    "net_returns",
    "paper_returns_of",
    "positions",
    "select",
    "settled_returns",
    "sharpe_of",
    "strategy_named",
    "strategy_trials",
    "update_assignments",
    "update_selections",
    "volatility_of",
]
