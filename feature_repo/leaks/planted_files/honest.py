"""Functions that look like the planted leaks and are none: caches by content, long warm-ups, keys instead of seeds."""

import hashlib
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

KEY = ("symbol", "event_time")
CLOSE = pl.col("close")
RETURN = CLOSE / CLOSE.shift(1) - 1
NUMBER = pl.int_range(pl.len())
TIME = pl.col("event_time")
LONG, FITTED = 1_000, 500

_BY_CONTENT: dict[str, pl.Series] = {}


def _by_symbol(bars: pl.DataFrame, value: pl.Expr) -> pl.Series:
    return bars.select(value.over("symbol", order_by="event_time").alias("value")).to_series()


def _content(bars: pl.DataFrame) -> str:
    return hashlib.sha256(bars.select(*KEY, "close").hash_rows().to_numpy().tobytes()).hexdigest()


def cached_by_content(bars: pl.DataFrame) -> pl.Series:
    """A cache in the module whose key is the bars themselves."""
    key = _content(bars)
    if key not in _BY_CONTENT:
        _BY_CONTENT[key] = _by_symbol(bars, RETURN.rolling_std(20))
    return _BY_CONTENT[key]


def cached_in_a_default(bars: pl.DataFrame, known: dict[str, pl.Series] = {}) -> pl.Series:  # noqa: B006 - a cache
    """A default argument that every call shares, its key the bars themselves."""
    return known.setdefault(_content(bars), _by_symbol(bars, RETURN.rolling_mean(20)))


def cached_on_disk_by_content(bars: pl.DataFrame) -> pl.Series:
    """A file named after the bars themselves."""
    path = Path(tempfile.gettempdir()) / f"{_content(bars)}.npy"
    if not path.exists():
        np.save(path, _by_symbol(bars, RETURN.fill_null(0.0)).to_numpy())
    returns: npt.NDArray[np.float64] = np.load(path)
    return pl.Series(returns)


@lru_cache
def _weight(lag: int) -> float:
    return float(np.exp(-lag / 5))


def weighted_by_a_cached_function(bars: pl.DataFrame) -> pl.Series:
    """A weight per lag from a pure function under `lru_cache`."""
    terms = [RETURN.shift(lag).fill_null(0.0) * _weight(lag) for lag in range(10)]
    return _by_symbol(bars, pl.sum_horizontal(terms))


def warmed_up_over_a_thousand_bars(bars: pl.DataFrame) -> pl.Series:
    """Null for a thousand bars, and then the return over the mean size of all before."""
    past = RETURN.abs().fill_null(0.0).cum_sum() / (NUMBER + 1)
    return _by_symbol(bars, pl.when(NUMBER >= LONG).then(RETURN / past))


def fitted_on_the_first_five_hundred(bars: pl.DataFrame) -> pl.Series:
    """A spread fitted once on the first bars of each symbol, and null until the last of them."""
    return _by_symbol(bars, pl.when(NUMBER >= FITTED).then(RETURN / RETURN.head(FITTED).std()))


def expanding_slope(bars: pl.DataFrame) -> pl.Series:
    """A regression on the return before, fitted anew at each bar on what there was."""
    now, before = RETURN.fill_null(0.0), RETURN.shift(1).fill_null(0.0)
    return _by_symbol(bars, (now * before).cum_sum() / ((before**2).cum_sum() + 1e-4))


def random_by_key(bars: pl.DataFrame) -> pl.DataFrame:
    """A number drawn for each symbol and session, from a hash of both."""
    drawn = pl.concat_str("symbol", TIME.dt.epoch("s").cast(pl.String)).hash(seed=7) / 2**64
    return bars.select(*KEY, drawn.alias("random_by_key"))


def week_so_far(bars: pl.DataFrame) -> pl.DataFrame:
    """Sum of the week's returns up to the day."""
    returns = bars.select(*KEY, RETURN.over("symbol").fill_null(0.0).alias("return")).sort(KEY)
    so_far = pl.col("return").cum_sum().over("symbol", TIME.dt.truncate("1w"))
    return returns.select(*KEY, so_far.alias("week_so_far"))


def yesterday_after_large_moves(bars: pl.DataFrame) -> pl.Series:
    """Another value beyond moves of a third, from the past."""
    return _by_symbol(bars, pl.when(RETURN.abs() > 1 / 3).then(RETURN.shift(1)).otherwise(RETURN))


def another_rule_for_one_ticker(bars: pl.DataFrame) -> pl.Series:
    """Yesterday's return for Apple, today's for the others."""
    return _by_symbol(bars, pl.when(pl.col("symbol") == "AAPL").then(RETURN.shift(1)).otherwise(RETURN))


def last_days_of_a_quarter(bars: pl.DataFrame) -> pl.Series:
    """What the calendar says, and nothing of the market."""
    return _by_symbol(bars, TIME.dt.month().is_in([3, 6, 9, 12]) & (TIME.dt.day() >= 29))


def figure_since_its_release(bars: pl.DataFrame, releases: pl.DataFrame) -> pl.DataFrame:
    """The newest figure by the time at which it became known."""
    known = releases.sort("known_time", "event_time").select(TIME.dt.date().alias("period"), "known_time", "value")
    joined = bars.sort(TIME).join_asof(known, left_on="event_time", right_on="known_time")
    return joined.select(*KEY, "value")


def cut_at_quantiles_of_the_past(bars: pl.DataFrame) -> pl.Series:
    """Winsorise at the quantiles of the last sixty returns."""
    low, high = RETURN.rolling_quantile(0.05, window_size=60), RETURN.rolling_quantile(0.95, window_size=60)
    return _by_symbol(bars, RETURN.clip(low, high))


def in_other_threads(bars: pl.DataFrame) -> pl.Series:
    """Returns, computed by a pool of threads."""
    with ThreadPoolExecutor(2) as threads:
        own = bars.partition_by("symbol", maintain_order=True)
        returns: list[pl.DataFrame] = list(threads.map(lambda one: one.select(RETURN.alias("value")), own))
    return pl.concat(returns).to_series()
