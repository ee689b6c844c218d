"""A small seeded market to test with, in raw and in clean form, a small table, and the bad rows sources really send."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
import polars as pl

from lake import calendars
from lake.clock import DEMO_START
from lake.errors import ConfigError
from lake.sources.base import BarBatch
from lake.spec import INSTANT, Column, TableSpec
from lake.tables import BARS, RAW_BARS
from lake.universe import MARKET

SOURCE = "tiny"
FACTS = TableSpec(
    name="facts",
    layer="clean",
    meaning="Facts that are restated.",
    key=("symbol", "event_time"),
    by_year=True,
    columns=(
        Column("symbol", pl.String(), "", "who"),
        Column("event_time", INSTANT, "UTC", "when"),
        Column("known_time", INSTANT, "UTC", "when we could know it"),
        Column("value", pl.Float64(), "", "what", nullable=True),
    ),
)
"""The least a table can be, to test the store with."""


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
        )
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .select(RAW_BARS.names)
    )


@dataclass(frozen=True)
class RowSource:
    """A source that delivers given raw rows, each once the market has come to its `known_time`."""

    rows: pl.DataFrame
    name: str = SOURCE

    def read(self, after: datetime | None, until: datetime) -> BarBatch:
        """Return the rows known in ``(after, until]``, numbered afresh."""
        is_due = pl.col("known_time") <= until
        due = self.rows.filter(is_due if after is None else is_due & (pl.col("known_time") > after))
        batch_id = (
            f"{self.name}:{after:%Y%m%dT%H%M}:{until:%Y%m%dT%H%M}" if after else f"{self.name}:{until:%Y%m%dT%H%M}"
        )
        numbered = due.with_columns(
            pl.lit(batch_id).alias("batch_id"), pl.lit(self.name).alias("source"), pl.int_range(pl.len()).alias("row")
        )
        return BarBatch(batch_id, numbered)


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


@dataclass(frozen=True)
class BadRow:
    """A way in which a row can be bad: what to do to a good one, and the reason it must be refused with."""

    kind: str
    reason: str
    change: Callable[[dict[str, object]], dict[str, object]]


def _set(**values: object) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda _: values


def _scaled(**factors: tuple[str, float]) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda row: {name: str(float(str(row[of])) * factor) for name, (of, factor) in factors.items()}


def _moved(by: timedelta) -> Callable[[dict[str, object]], dict[str, object]]:
    return lambda row: {"stamp": (datetime.fromisoformat(str(row["stamp"])) + by).isoformat()}


BAD_ROWS: tuple[BadRow, ...] = (
    BadRow("null symbol", "null_key", _set(symbol=None)),
    BadRow("blank symbol", "null_key", _set(symbol="  ")),
    BadRow("null time", "null_key", _set(stamp=None)),
    BadRow("time without zone", "time_without_zone", lambda row: {"stamp": str(row["stamp"])[:19]}),
    BadRow("date without time", "time_without_zone", lambda row: {"stamp": str(row["stamp"])[:10]}),
    BadRow("month 13", "unreadable_time", _set(stamp="2012-13-01T21:00:00+00:00")),
    BadRow("words for a time", "unreadable_time", _set(stamp="yesterdayZ")),
    BadRow("weekend session", "not_a_session_close", _set(stamp="2012-06-16T20:00:00+00:00")),
    BadRow("holiday session", "not_a_session_close", _set(stamp="2012-12-25T21:00:00+00:00")),
    BadRow("early close at the usual hour", "not_a_session_close", _set(stamp="2012-11-23T21:00:00+00:00")),
    BadRow("winter hour in summer", "not_a_session_close", _set(stamp="2012-07-02T21:00:00+00:00")),
    BadRow("an hour late", "not_a_session_close", _moved(timedelta(hours=1))),
    BadRow("known before it closed", "known_before_it_happened", _set(stamp="2013-03-01T21:00:00+00:00")),
    BadRow("unknown basis", "unknown_price_basis", _set(price_basis="guessed")),
    BadRow("text in a number", "unreadable_number", _set(close="twelve")),
    BadRow("thousands comma", "unreadable_number", _set(volume="1,000,000")),
    BadRow("unit in a number", "unreadable_number", _set(open="12.5 USD")),
    BadRow("empty number", "unreadable_number", _set(adj_close="")),
    BadRow("NaN", "not_a_number", _set(close="NaN")),
    BadRow("infinity", "not_a_number", _set(high="inf")),
    BadRow("missing close", "missing_value", _set(close=None)),
    BadRow("missing adjusted close", "missing_value", _set(adj_close=None)),
    BadRow("missing volume", "missing_value", _set(volume=None)),
    BadRow("negative price", "price_not_positive", _scaled(low=("low", -1.0))),
    BadRow("zero price", "price_not_positive", _set(adj_close="0")),
    BadRow("negative volume", "negative_volume", _set(volume="-100")),
    BadRow("high below low", "high_below_low", _scaled(high=("low", 0.9))),
    BadRow("close above high", "price_outside_range", _scaled(close=("high", 1.01))),
    BadRow("open below low", "price_outside_range", _scaled(open=("low", 0.99))),
    BadRow("the same row twice", "duplicate", _set()),
    BadRow("another row for the same bar", "duplicate", _scaled(volume=("volume", 2.0))),
)


class Planted(NamedTuple):
    """Raw rows with bad ones among them, and the reason each bad one must be refused with, by ``row``."""

    rows: pl.DataFrame
    expected: pl.DataFrame


def plant_bad_rows(raw: pl.DataFrame, seed: int, *, copies: int = 1, kinds: Sequence[BadRow] = BAD_ROWS) -> Planted:
    """Add bad rows to good ones of one delivery; every good row stays.

    Each bad row is a changed copy of a good one, so a rule that lets it pass gives a wrong or a doubled bar.

    Parameters
    ----------
    raw
        Good rows in the columns of `raw_bars`, of one batch.
    copies
        How many bad rows of each kind.

    Returns
    -------
    Planted
        `rows` in a seeded random order; `expected` with ``row`` and ``reason``.
    """
    random = np.random.default_rng(seed)
    planted = [bad for bad in kinds for _ in range(copies)]
    victims = raw[random.integers(0, raw.height, len(planted))].to_dicts()
    first = raw.height
    changed = [
        row | bad.change(row) | {"row": first + n} for n, (row, bad) in enumerate(zip(victims, planted, strict=True))
    ]
    bad_rows = pl.DataFrame(changed, schema=raw.schema)
    expected = pl.DataFrame({"row": bad_rows["row"], "reason": [bad.reason for bad in planted]})
    rows = pl.concat([raw, bad_rows])
    return Planted(rows[random.permutation(rows.height)], expected)
