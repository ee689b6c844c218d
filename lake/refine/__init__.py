"""Raw rows to clean tables: pure functions.

`unstored` finds what a delivery says anew; `refine_bars` judges raw rows, brings them to one basis and adjusts the good
ones; `find_actions` reads splits and dividends off them.
"""

from lake.refine.actions import find_actions, restate, withdraw
from lake.refine.bars import AS_RECEIVED, Refined, judge, parse, refine_bars, refused_as, rules
from lake.refine.deliveries import Unstored, as_one_delivery, unstored
from lake.refine.vintages import JUMP, RELEASED, UNEXPLAINED, unsettled_symbols

__all__ = [
    "AS_RECEIVED",
    "JUMP",
    "RELEASED",
    "UNEXPLAINED",
    "Refined",
    "Unstored",
    "as_one_delivery",
    "find_actions",
    "judge",
    "parse",
    "refine_bars",
    "refused_as",
    "restate",
    "rules",
    "unsettled_symbols",
    "unstored",
    "withdraw",
]
