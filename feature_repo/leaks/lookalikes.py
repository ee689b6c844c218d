"""Computations that look like leaks and are none: a checker that flags one of them will soon be ignored."""

import numpy as np
import numpy.typing as npt
import polars as pl

from feature_repo.leaks.planted import CLOSE, KEY, NOW_AND_THEN, NUMBER, RETURN, PlantedLeak, by_array, by_symbol
from feature_repo.leaks.world import World
from lake.universe import MARKET

WINDOW = 20
FRIDAY = 5


def _fft_mean(returns: npt.NDArray) -> npt.NDArray:
    """A trailing mean computed by FFT over the whole series: exact but for rounding, which any later bar changes."""
    size = 2 * returns.size + WINDOW
    weights = np.full(WINDOW, 1 / WINDOW)
    both = np.fft.rfft(1 + returns, size) * np.fft.rfft(weights, size)
    return np.fft.irfft(both, size)[: returns.size]


def _moments(returns: npt.NDArray) -> npt.NDArray:
    """A z-score against the past, from cumulative sums."""
    count = np.arange(1, returns.size + 1)
    mean = np.cumsum(returns) / count
    variance = np.maximum(np.cumsum(returns**2) / count - mean**2, 1e-12)
    return (returns - mean) / np.sqrt(variance)


def _released_macro(world: World) -> pl.DataFrame:
    """The newest figure released by each close: by known time, not by the period it is about."""
    released = world.releases.sort("known_time", "event_time").select(
        "known_time", pl.col("value").alias("released_macro")
    )
    bars = world.bars.sort("event_time")
    joined = bars.select(KEY).join_asof(released, left_on="event_time", right_on="known_time")
    return joined.select(*KEY, "released_macro")


def _correlation_with_index(world: World) -> pl.DataFrame:
    index = world.bars.filter(pl.col("symbol") == MARKET).sort("event_time")
    market = index.select("event_time", RETURN.alias("market"))
    own = world.bars.select(*KEY, RETURN.over("symbol", order_by="event_time").alias("own"))
    both = own.join(market, on="event_time", how="left")
    correlation = pl.rolling_corr("own", "market", window_size=60).over("symbol", order_by="event_time")
    return both.select(*KEY, correlation.fill_nan(None).alias("correlation_with_index"))


def _rank_of_the_day(world: World) -> pl.DataFrame:
    returns = world.bars.select(*KEY, RETURN.over("symbol", order_by="event_time").alias("r"))
    return returns.select(*KEY, (pl.col("r").rank() / pl.col("r").count()).over("event_time").alias("rank_of_the_day"))


LOOKALIKES: tuple[PlantedLeak, ...] = (
    by_symbol(
        "long_ema", "close over a 200-bar exponential mean, which never quite forgets", CLOSE / CLOSE.ewm_mean(span=200)
    ),
    by_array("expanding_z_score", "against mean and spread of the past only", _moments),
    by_array("fft_rounding", "a trailing mean by FFT: its last digits change with every later bar", _fft_mean),
    by_symbol("filled_forwards", "gaps filled with the last known value", NOW_AND_THEN.forward_fill()),
    by_symbol("yesterday", "the return of the bar before: shift(1)", RETURN.shift(1)),
    by_symbol("expanding_maximum", "close over its highest so far", CLOSE / CLOSE.cum_max()),
    by_symbol("share_of_volume_so_far", "volume over all volume so far", pl.col("volume") / pl.col("volume").cum_sum()),
    by_symbol(
        "on_fridays_only", "null on every other day", pl.when(pl.col("event_time").dt.weekday() == FRIDAY).then(RETURN)
    ),
    by_symbol("bars_so_far", "how many bars there have been", NUMBER.cast(pl.Float64)),
    by_symbol(
        "days_to_year_end",
        "what the calendar says of the future",
        (365 - pl.col("event_time").dt.ordinal_day()).cast(pl.Float64),
    ),
    by_symbol(
        "unadjusted_turnover",
        "money traded, from the unadjusted pair",
        (pl.col("close_unadjusted") * pl.col("volume_unadjusted")).log(),
    ),
    by_symbol(
        "log_of_volume_plus_one", "nearly free of the scale, as in Alpha158", (pl.col("volume") + 1).log().diff()
    ),
    PlantedLeak("released_macro", "a figure of the economy from its release on", _released_macro),
    PlantedLeak("correlation_with_index", "over the last 60 returns", _correlation_with_index),
    PlantedLeak("rank_of_the_day", "among all symbols at the same close", _rank_of_the_day),
)
"""None of them may be flagged by any check."""
