"""A market of two sources of the same symbols: a price file, and a vendor that is played."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from lake.calendars import closes
from lake.sources import tiny_market
from lake.sources.replay import PlayedYahoo, ReplayServer, VirtualTime

SYMBOLS = ("AAA", "BBB", "CCC", "DDD", "EEE", "FFF")
INDEX = "^GSPC"
UNTIL = datetime(2025, 6, 30, 23, tzinfo=UTC)
LATE, DISPUTED, CORRECTED = "AAA", "BBB", "CCC"
"""Symbols of which the file lacks the last bar, disagrees with the vendor, and corrects a bar."""
NUMBERS = ("open", "high", "low", "close", "volume")


def closes_of_both(sessions: int) -> pl.DataFrame:
    """Return ``session`` and ``event_time`` of the last sessions."""
    return closes().filter(pl.col("event_time") <= UNTIL).tail(sessions)


def bars_of_both(sessions: int) -> pl.DataFrame:
    """Return bars of a market that never was, each with its number ``n`` and its ``session``."""
    bars = tiny_market([*SYMBOLS, INDEX], sessions, seed=11)
    bars = bars.with_columns(pl.int_range(pl.len()).over("symbol").alias("n"))
    return bars.with_columns(closes_of_both(sessions)["session"].gather(bars["n"]).alias("session"))


def write_prices(path: Path, bars: pl.DataFrame, *, corrected: int | None = None, is_late: bool = False) -> None:
    """Write the file of an analyst.

    Parameters
    ----------
    corrected
        Number of the bar of `CORRECTED` that closes at its high from now on.
    is_late
        Whether the last bar of `LATE` is missing.
    """
    is_corrected = (pl.col("symbol") == CORRECTED) & (pl.col("n") == (-1 if corrected is None else corrected))
    told = bars.with_columns(pl.when(is_corrected).then("high").otherwise("close").alias("close"))
    if is_late:
        told = told.filter(~((pl.col("symbol") == LATE) & (pl.col("n") == pl.col("n").max())))
    told.select(pl.col("session").alias("Date"), "symbol", *NUMBERS).write_csv(path)


def as_played(bars: pl.DataFrame) -> dict[str, dict[date, dict[str, float | None]]]:
    """Return bars as a played vendor holds them; of the last 20 closes of `DISPUTED` each second one is the low."""
    told: dict[str, dict[date, dict[str, float | None]]] = {}
    last = int(bars.select(pl.col("n").max()).item())
    disputed = range(last - 19, last + 1, 2)
    for row in bars.to_dicts():
        close = row["low"] if row["symbol"] == DISPUTED and row["n"] in disputed else row["close"]
        bar = {name: row[name] for name in NUMBERS} | {"close": close, "adj_close": close, "volume": int(row["volume"])}
        told.setdefault(row["symbol"], {})[row["session"]] = bar
    return told


@contextmanager
def playing(bars: pl.DataFrame) -> Iterator[str]:
    """Play the vendor of these bars; gives the address at which it answers."""
    vendor = PlayedYahoo(bars=as_played(bars), until=bars["session"].max())  # type: ignore[arg-type]  # of a column of dates
    with ReplayServer(VirtualTime(UNTIL), vendor.answer) as server:
        yield server.url
