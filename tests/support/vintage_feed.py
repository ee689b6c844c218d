"""A feed that adjusts backwards, as vendors do: what it says of a close depends on when it is asked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl

from lake.calendars import closes
from lake.sources import BarBatch
from lake.tables import RAW_BARS

SESSIONS = closes().filter(pl.col("session").is_between(pl.date(2012, 10, 1), pl.date(2012, 12, 31)))["event_time"]


@cache
def _shape(symbol: str, n: int) -> tuple[float, float, float, float]:
    """Low, open and high relative to close before they are widened to hold it, and shares traded."""
    random = np.random.default_rng([n, *symbol.encode()])
    low, first, high = np.sort(random.uniform(0.99, 1.01, 3))
    return low, first, high, 1000.0 * random.integers(1000, 5000)


class Action(NamedTuple):
    """A split of `ratio` new shares per old one and a dividend, as a part of the close before, on one ex-date."""

    ratio: float = 1.0
    dividend: float = 0.0
    late: int = 0
    """Sessions after the ex-date until the feed has heard of it."""


@dataclass
class VintageFeed:
    """A source of simulated bars; prices are not rounded unless `decimals` says so.

    Parameters
    ----------
    actions
        By symbol and number of the session.
    basis
        As in the column `price_basis`.
    lookback
        As `lake.sources.BarSource` describes it.
    """

    actions: Mapping[str, Mapping[int, Action]]
    basis: str
    lookback: timedelta | None = field(default_factory=timedelta)
    decimals: int | None = None
    name: str = "feed"
    _closes: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the bars that closed in ``(after, until]``, as the feed states them at `until`."""
        asked = [n for n, close in enumerate(SESSIONS) if close <= until and (after is None or close > after)]
        rows = [self._row(symbol, n, until) for symbol in self.actions for n in asked]
        batch_id = f"{self.name}:{until:%Y%m%dT%H%M}"
        frame = pl.DataFrame(
            rows, schema={name: RAW_BARS.schema.get(name, pl.String) for name in rows[0]} if rows else {}
        )
        if not rows:
            return BarBatch(batch_id, RAW_BARS.empty())
        return BarBatch(
            batch_id,
            frame.with_columns(
                pl.lit(self.basis).alias("price_basis"),
                pl.lit(self.name).alias("source"),
                pl.lit("support").alias("package"),
                pl.lit("MIT").alias("licence"),
                pl.lit(batch_id).alias("batch_id"),
                pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
                pl.lit(until).cast(RAW_BARS.schema["received_at"]).alias("received_at"),
                pl.lit("assumed").alias("known_basis"),
            ).select(RAW_BARS.names),
        )

    def returns(self, symbol: str) -> list[float]:
        """Total return from each session to the next."""
        return [float(np.exp(move)) - 1 for move in self._moves(symbol)[1:]]

    def _moves(self, symbol: str) -> np.ndarray:
        random = np.random.default_rng([*symbol.encode()])
        return 0.02 * random.standard_normal(len(SESSIONS))

    def _traded(self, symbol: str) -> np.ndarray:
        """Closes as traded: the total return less what the actions took out."""
        if symbol in self._closes:
            return self._closes[symbol]
        moves, close, traded = self._moves(symbol), 80.0, []
        for n in range(len(SESSIONS)):
            action = self.actions[symbol].get(n, Action())
            close *= float(np.exp(moves[n])) * (1 - action.dividend) / action.ratio
            traded.append(close)
        self._closes[symbol] = np.array(traded)
        return self._closes[symbol]

    def _row(self, symbol: str, n: int, until: datetime) -> dict[str, object]:
        close = self._traded(symbol)[n]
        told = [
            action
            for ex, action in self.actions[symbol].items()
            if n < ex and ex + action.late < len(SESSIONS) and SESSIONS[ex + action.late] <= until
        ]
        splits = float(np.prod([action.ratio for action in told]))
        dividends = float(np.prod([1 - action.dividend for action in told]))
        stated = close if self.basis == "as_traded" else close / splits
        low, first, high, shares = _shape(symbol, n)
        volume = shares * (1.0 if self.basis == "as_traded" else splits)
        prices = {
            "open": stated * first,
            "high": stated * max(high, 1.0),
            "low": stated * min(low, 1.0),
            "close": stated,
            "adj_close": close / splits * dividends,
            "volume": volume,
        }
        is_told = {name: name == "adj_close" or self.basis != "adjusted_close_only" for name in prices}
        text = {name: self._text(value) if is_told[name] else None for name, value in prices.items()}
        stamp = SESSIONS[n]
        later = repr(splits) if self.basis == "split_adjusted" else None
        times = {"event_time": stamp, "known_time": stamp}
        return {"symbol": symbol, "stamp": stamp.isoformat(), **text, **times, "later_splits": later}

    def traded(self, symbol: str) -> list[float]:
        """Closes at which shares changed hands, session by session."""
        return [float(close) for close in self._traded(symbol)]

    def _text(self, value: float) -> str:
        return repr(float(value)) if self.decimals is None else f"{value:.{self.decimals}f}"
