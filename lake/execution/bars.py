"""Bars as traded: one session of one instrument, and the arrays of a whole market."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from lake.errors import ConfigError

Ending = Literal["", "delisted", "merged"]
ENDINGS: tuple[Ending, ...] = get_args(Ending)
NAN = float("nan")
PRICES = ("open", "high", "low", "close")
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


@dataclass(frozen=True, eq=False)
class TradedPanel:
    """Bars of a market as arrays ``[session, symbol]``, each as in `TradedBar`; made by `traded_panel`.

    A symbol has no bar where its close is NaN: before it was listed, after it ended, or when none is known.

    Parameters
    ----------
    times
        Closes of the sessions, increasing, in UTC.
    halted
        1 where orders cannot be filled, else 0.
    ending
        Position of the ending in `ENDINGS`: 0 none, 1 delisted, 2 merged.
    """

    times: tuple[datetime, ...]
    symbols: tuple[str, ...]
    open: Grid
    high: Grid
    low: Grid
    close: Grid
    volume: Grid
    volatility: Grid
    split: Grid
    dividend: Grid
    halted: Grid
    borrowable: Grid
    ending: Grid

    def bars_at(self, session: int) -> list[TradedBar]:
        """Return the bars of one session, in the order of the symbols; none for a symbol without one."""
        time = self.times[session]
        rows = zip(self.symbols, *(grid[session].tolist() for grid in self._grids()), strict=True)
        return [
            TradedBar(s, time, o, h, lo, c, v, sigma, split, paid, halted != 0, borrowable, ENDINGS[int(ending)])
            for s, o, h, lo, c, v, sigma, split, paid, halted, borrowable, ending in rows
            if c == c  # noqa: PLR0124 - NaN is no bar, and math.isnan costs a call per bar
        ]

    def between(self, first: int, stop: int) -> "TradedPanel":
        """Return the sessions from `first` on and before `stop`."""
        grids = (np.ascontiguousarray(grid[first:stop]) for grid in self._grids())
        return TradedPanel(self.times[first:stop], self.symbols, *grids)

    @property
    def calendar_days(self) -> npt.NDArray[np.float64]:
        """Calendar days since the session before, ``[session]``; 0 for the first."""
        days = [time.date().toordinal() for time in self.times]
        return np.diff(np.array(days, dtype=np.float64), prepend=days[:1])

    def _grids(self) -> tuple[Grid, ...]:
        market = (self.open, self.high, self.low, self.close, self.volume, self.volatility)
        return (*market, self.split, self.dividend, self.halted, self.borrowable, self.ending)


def traded_panel(
    times: Sequence[datetime],
    symbols: Sequence[str],
    *,
    open: npt.ArrayLike,  # noqa: A002 - the field's word for the price
    high: npt.ArrayLike,
    low: npt.ArrayLike,
    close: npt.ArrayLike,
    volume: npt.ArrayLike | None = None,
    volatility: npt.ArrayLike | None = None,
    split: npt.ArrayLike | None = None,
    dividend: npt.ArrayLike | None = None,
    halted: npt.ArrayLike | None = None,
    borrowable: npt.ArrayLike | None = None,
    ending: npt.ArrayLike | None = None,
) -> TradedPanel:
    """Check the bars of a market and return them as a panel; what is not given is not known, or did not happen.

    Parameters
    ----------
    times
        Closes of the sessions in UTC, increasing.
    symbols
        Instruments, each once.
    open, high, low, close, volume, volatility, split, dividend, halted, borrowable, ending
        ``[session, symbol]``, as in `TradedPanel`.

    Raises
    ------
    ConfigError
        If an array has another shape, a price is not positive or outside of low and high, a bar has some prices and
        not others, a split, dividend or ending falls on a session without a bar, or a bar follows an ending.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> days = [datetime(2024, 1, day, 21, tzinfo=UTC) for day in (2, 3)]
    >>> panel = traded_panel(days, ["AAA"], open=[[9], [10]], high=[[11], [11]], low=[[9], [9]], close=[[10], [10]])
    >>> panel.bars_at(1)[0].open, panel.calendar_days.tolist()
    (10.0, [0.0, 1.0])
    """
    shape = (len(times), len(symbols))

    def grid(name: str, values: npt.ArrayLike | None, default: float) -> Grid:
        if values is None:
            return np.full(shape, default)
        made = np.require(values, np.float64, ["C", "W"])
        if made.shape != shape:
            raise ConfigError(f"{name} has the shape {made.shape}; {len(times)} sessions x {len(symbols)} symbols.")
        return made

    panel = TradedPanel(
        tuple(times),
        tuple(symbols),
        grid("open", open, NAN),
        grid("high", high, NAN),
        grid("low", low, NAN),
        grid("close", close, NAN),
        grid("volume", volume, NAN),
        grid("volatility", volatility, NAN),
        grid("split", split, 1.0),
        grid("dividend", dividend, 0.0),
        grid("halted", halted, 0.0),
        grid("borrowable", borrowable, NAN),
        grid("ending", ending, 0.0),
    )
    _check(panel)
    return panel


def _check(panel: TradedPanel) -> None:
    if list(panel.times) != sorted(set(panel.times)):
        raise ConfigError("The sessions of the panel do not increase; sort them, and give each once.")
    if len(set(panel.symbols)) != len(panel.symbols):
        raise ConfigError("The panel names a symbol twice; give each once.")
    has_bar = np.isfinite(panel.close)
    tops, bottoms = np.maximum(panel.open, panel.close), np.minimum(panel.open, panel.close)
    later = np.cumsum(panel.ending != 0, axis=0) - (panel.ending != 0) > 0
    rules = {
        "has some of its prices and not others": np.any(
            [np.isfinite(getattr(panel, name)) != has_bar for name in PRICES], axis=0
        ),
        "has a price that is not positive": has_bar & ~(panel.low > 0),
        "opens or closes outside of its low and high": has_bar & ((panel.high < tops) | (panel.low > bottoms)),
        "has a split that is not positive": ~(panel.split > 0),
        "has a negative volume, volatility or borrowable": (panel.volume < 0)
        | (panel.volatility < 0)
        | (panel.borrowable < 0),
        "has a dividend that is not a number": ~np.isfinite(panel.dividend),
        "has a split, dividend or ending and no bar; move it to the next bar": ~has_bar
        & ((panel.split != 1) | (panel.dividend != 0) | (panel.ending != 0)),
        "has an ending that does not exist": ~np.isin(panel.ending, range(len(ENDINGS))),
        "comes after the ending of its instrument": later & has_bar,
    }
    for problem, where in rules.items():
        if where.any():
            session, symbol = (int(place[0]) for place in np.nonzero(where))
            raise ConfigError(f"The bar of {panel.symbols[symbol]} at {panel.times[session]} {problem}.")


def as_traded(price: npt.ArrayLike, close: npt.ArrayLike, close_unadjusted: npt.ArrayLike) -> Grid:
    """Return adjusted open, high or low prices as they were traded: scaled by what the close was adjusted by.

    Examples
    --------
    >>> as_traded([49.0], [50.0], [100.0]).tolist()
    [98.0]
    """
    scale = np.asarray(close_unadjusted, dtype=np.float64) / np.asarray(close, dtype=np.float64)
    return np.asarray(price, dtype=np.float64) * scale
