"""Bars as traded, one at a time or as arrays of a whole market."""

from datetime import datetime
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

Ending = Literal["", "delisted", "merged"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
NAN = float("nan")

Grid = npt.NDArray[np.float64]
"""``[session, symbol]``."""


class TradedBar(NamedTuple):
    """One session of one instrument, in shares and prices of that day, with what happened before its open.

    Parameters
    ----------
    symbol
        Instrument.
    time
        Close of the bar, in UTC.
    open, high, low, close
        Prices per share as traded, neither split- nor dividend-adjusted.
    volume
        Shares traded; NaN is not known.
    volatility
        Standard deviation of the return of a session as known before the bar opens: .02 is 2 %; NaN is not known.
    split
        New shares per old one, effective before the open; 1 for none.
    dividend
        Money per share, in shares after the split, with this bar as the ex-date: holders at the previous close get it.
    is_halted
        Whether orders cannot be filled; the close still values positions.
    borrowable
        Shares that the account may be short in all; NaN for no limit.
    ending
        Whether this is the last bar: `delisted` or `merged`, else empty.
    """

    symbol: str
    time: datetime | None
    open: float
    high: float
    low: float
    close: float
    volume: float = NAN
    volatility: float = NAN
    split: float = 1.0
    dividend: float = 0.0
    is_halted: bool = False
    borrowable: float = NAN
    ending: Ending = ""
