"""Price files of bars of minutes, of markets that never were."""

from datetime import datetime
from pathlib import Path

import polars as pl

from lake.calendars import close_before
from lake.sources import tiny_market


def write_bars(path: Path, symbols: list[str], count: int, until: datetime, grid: str, seed: int = 5) -> Path:
    """Write the last bars of a grid up to an instant, one row per symbol and bar, its time that of the close in UTC."""
    closes = bar_closes(count, until, grid)
    bars = tiny_market([*symbols, "^GSPC"], count, seed=seed).filter(pl.col("symbol").is_in(symbols))
    number = pl.int_range(pl.len()).over("symbol")
    times = pl.Series("Time", closes).dt.strftime("%Y-%m-%d %H:%M:%S+00:00")
    # As far as bars of minutes move, not sessions: a hundredth of the way from the first open.
    prices = [
        (pl.col("open").first().over("symbol") * (pl.col(name) / pl.col("open").first().over("symbol")) ** 0.1)
        .round(4)
        .alias(name)
        for name in ("open", "high", "low", "close")
    ]
    named = bars.select("symbol", times.gather(bars.select(number).to_series()), *prices, "volume")
    high, low = pl.max_horizontal("high", "open", "close"), pl.min_horizontal("low", "open", "close")
    named.with_columns(high.alias("high"), low.alias("low")).write_csv(path)
    return path


def bar_closes(count: int, until: datetime, grid: str) -> list[datetime]:
    """Closes of the last bars of a grid up to an instant, in order."""
    found, at = [until], until
    while len(found) < count:
        before = close_before(at, 1, grid)
        assert before is not None
        found.append(at := before)
    return found[::-1]
