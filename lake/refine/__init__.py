"""Raw rows to clean tables: pure functions.

`unstored` finds what a delivery says anew; `refine_bars` judges raw rows, brings them to one basis and adjusts the good
ones; `refine_sources` does so for several sources and chooses one of them per bar; `find_actions` reads splits and
dividends off them. `refine_macro` judges the values of economic series.
"""

from lake.refine.actions import find_actions, restate, withdraw
from lake.refine.bars import AS_RECEIVED, Refined, judge, parse, refine_bars, refused_as, rules
from lake.refine.deliveries import Unstored, as_one_delivery, unstored
from lake.refine.macro import RefinedMacro, refine_macro
from lake.refine.priorities import Chosen, agree, refine_sources, told_from_now
from lake.refine.vintages import JUMP, RELEASED, UNEXPLAINED, unsettled_symbols

__all__ = [
    "AS_RECEIVED",
    "JUMP",
    "RELEASED",
    "UNEXPLAINED",
    "Chosen",
    "Refined",
    "RefinedMacro",
    "Unstored",
    "agree",
    "as_one_delivery",
    "find_actions",
    "judge",
    "parse",
    "refine_bars",
    "refine_macro",
    "refine_sources",
    "refused_as",
    "restate",
    "rules",
    "told_from_now",
    "unsettled_symbols",
    "unstored",
    "withdraw",
]
