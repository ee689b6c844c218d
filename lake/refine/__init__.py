"""Raw rows to clean tables: pure functions.

`refine_bars` judges raw rows and adjusts the good ones; `find_actions` reads splits and dividends off them.
"""

from lake.refine.actions import find_actions, restate, withdraw
from lake.refine.bars import Refined, judge, parse, refine_bars, rules

__all__ = [
    "Refined",
    "find_actions",
    "judge",
    "parse",
    "refine_bars",
    "restate",
    "rules",
    "withdraw",
]
