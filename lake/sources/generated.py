"""Seeded markets that never were: bars for demos, leak checks and warming up kernels, and a source of any size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import numpy as np
import polars as pl

from lake import calendars
from lake.clock import DEMO_START
from lake.errors import ConfigError
from lake.sources.base import BarBatch
from lake.tables import BARS, RAW_BARS
from lake.universe import MARKET

SOURCE = "tiny"


def tiny_market(
    symbols: Sequence[str] | int, sessions: int, seed: int, *, until: datetime = DEMO_START
) -> pl.DataFrame:
    """Return bars of a market that never was: a geometric random walk per symbol around a common factor.

    Parameters
    ----------
    symbols
        Names, or how many (then ``S0000``, ``S0001``, ...): 5,000 symbols over 250 sessions take a few seconds.
    sessions
        Number of sessions, the last one closing at or before `until`.
    seed
        Same seed, same bars.

    Returns
    -------
    pl.DataFrame
        Rows of `bars`, one per symbol and session, sorted; low <= open, close <= high; each known at its close.
    """
    names = [f"S{number:04d}" for number in range(symbols)] if isinstance(symbols, int) else sorted(symbols)
    closes = calendars.closes().filter(pl.col("event_time") <= until)["event_time"].tail(sessions)
    if len(closes) < sessions:
        raise ConfigError(f"The calendar holds {len(closes)} sessions before {until}, {sessions} were asked for.")
    random = np.random.default_rng(seed)
    shape = (len(names), sessions)  # [symbol, session]
    change = 0.0002 + 0.008 * random.standard_normal(sessions) + 0.012 * random.standard_normal(shape)
    close = 50.0 * np.exp(np.cumsum(change, axis=1) + random.uniform(-1, 1, (len(names), 1)))
    before = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    start = before * np.exp(0.004 * random.standard_normal(shape))
    high = np.maximum(start, close) * np.exp(np.abs(0.005 * random.standard_normal(shape)))
    low = np.minimum(start, close) * np.exp(-np.abs(0.005 * random.standard_normal(shape)))
    volume = np.round(1e6 * np.exp(0.4 * random.standard_normal(shape)))
    frame = pl.DataFrame(
        {
            name: np.round(values.ravel(), 4)
            for name, values in zip(("open", "high", "low", "close"), (start, high, low, close), strict=True)
        }
    )
    stamps = pl.concat([closes] * len(names))
    return frame.with_columns(
        pl.Series("symbol", np.repeat(names, sessions)),
        stamps.alias("event_time"),
        stamps.alias("known_time"),
        pl.Series("volume", volume.ravel()),
        pl.col("close").alias("close_unadjusted"),
        pl.Series("volume_unadjusted", volume.ravel()),
        pl.lit("full").alias("quality"),
        pl.lit(SOURCE).alias("source"),
        pl.lit(f"{SOURCE}:0").alias("batch_id"),
        pl.lit("split_adjusted").alias("price_basis"),
        pl.col("close").alias("close_traded"),
        pl.lit("stated").alias("known_basis"),
    ).select(BARS.names)


def as_received(bars: pl.DataFrame, *, batch_id: str = f"{SOURCE}:0") -> pl.DataFrame:
    """Return the raw rows, all text, that a source would have sent for bars whose factor is one."""
    prices = [pl.col(name).cast(pl.String) for name in ("open", "high", "low", "close", "volume")]
    return (
        bars.with_columns(
            *prices,
            pl.col("close").cast(pl.String).alias("adj_close"),
            pl.col("event_time").dt.to_string("iso:strict").alias("stamp"),
            pl.lit("split_adjusted").alias("price_basis"),
            pl.lit("lake.sources.generated").alias("package"),
            pl.lit("MIT").alias("licence"),
            pl.lit(batch_id).alias("batch_id"),
            pl.col("known_time").max().alias("received_at"),
            pl.lit("1").alias("later_splits"),
        )
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .select(RAW_BARS.names)
    )


@dataclass
class GeneratedMarket:
    """A source with any number of symbols, and the index, whose next session costs no more than its own rows.

    Each session is drawn from its own seed, so a session is the same whenever it is asked for, alone or with others.
    Where a price stands follows from all returns before it; they are drawn once per process.

    Parameters
    ----------
    symbols
        How many besides the index.
    first
        Number of the first session in `lake.calendars.closes`.
    seed
        Same seed, same market.
    """

    symbols: int
    first: int
    seed: int = 0
    name: str = "generated"

    @classmethod
    def ending(cls, symbols: int, sessions: int, seed: int = 0, *, until: datetime = DEMO_START) -> "GeneratedMarket":
        """Return a market whose first `sessions` sessions end with the last close at or before `until`."""
        closes = calendars.closes().filter(pl.col("event_time") <= until)
        if closes.height < sessions:
            raise ConfigError(f"The calendar holds {closes.height} sessions before {until}, {sessions} were asked for.")
        return cls(symbols, closes.height - sessions, seed)

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the raw rows of the sessions that closed in ``(after, until]``, the index's among them."""
        closes = calendars.closes()["event_time"]
        start = self.first if after is None else max(self.first, int((closes <= after).sum()))
        numbers = range(start, int((closes <= until).sum()))
        batch_id = f"{self.name}:{self.seed}:{numbers.start}:{numbers.stop}"
        bars = [self._bars(number, closes[number]) for number in numbers]
        rows = pl.concat(bars) if bars else BARS.empty()
        received = as_received(rows, batch_id=batch_id).with_columns(pl.lit(self.name).alias("source"))
        return BarBatch(batch_id, received)

    def _bars(self, number: int, close_time: datetime) -> pl.DataFrame:
        before, close = _levels(self.symbols, self.seed, self.first, number)
        random = np.random.default_rng([self.seed, number, 1])
        shape = close.size
        start = before * np.exp(0.004 * random.standard_normal(shape))
        high = np.maximum(start, close) * np.exp(np.abs(0.005 * random.standard_normal(shape)))
        low = np.minimum(start, close) * np.exp(-np.abs(0.005 * random.standard_normal(shape)))
        volume = np.round(1e6 * np.exp(0.4 * random.standard_normal(shape)))
        prices = {"open": start, "high": high, "low": low, "close": close}
        names = [MARKET, *(f"S{symbol:04d}" for symbol in range(self.symbols))]
        frame = pl.DataFrame({"symbol": names, **{name: np.round(values, 4) for name, values in prices.items()}})
        return frame.with_columns(
            pl.lit(close_time).cast(BARS.schema["event_time"]).alias("event_time"),
            pl.lit(close_time).cast(BARS.schema["known_time"]).alias("known_time"),
            pl.Series("volume", volume),
            pl.col("close").alias("close_unadjusted"),
            pl.Series("volume_unadjusted", volume),
            pl.lit("full").alias("quality"),
            pl.lit(self.name).alias("source"),
            pl.lit("").alias("batch_id"),
            pl.lit("split_adjusted").alias("price_basis"),
            pl.col("close").alias("close_traded"),
            pl.lit("stated").alias("known_basis"),
        ).select(BARS.names)


@cache
def _logs(symbols: int, seed: int, first: int) -> dict[int, np.ndarray]:
    """Logarithms of the closes by session, those of the session before the first one to begin with."""
    start = np.random.default_rng([seed, first]).uniform(-1, 1, symbols + 1)
    return {first - 1: np.log(50.0) + start * (np.arange(symbols + 1) > 0)}


def _levels(symbols: int, seed: int, first: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Closes of the session before, and of a session: a common factor, and noise that the index does not have."""
    logs = _logs(symbols, seed, first)
    for session in range(max(logs) + 1, number + 1):
        random = np.random.default_rng([seed, session])
        own = 0.012 * random.standard_normal(symbols + 1)
        own[0] = 0.0
        logs[session] = logs[session - 1] + 0.0002 + 0.008 * random.standard_normal() + own
    return np.exp(logs[number - 1]), np.exp(logs[number])
