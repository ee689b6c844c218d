"""Leaks by fitting: parameters, components, clusters, bins and seeds that come from the whole sample."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import polars as pl

KEY = ("symbol", "event_time")
CLOSE = pl.col("close")
RETURN = (CLOSE / CLOSE.shift(1) - 1).over("symbol")


def _returns(bars: pl.DataFrame) -> npt.NDArray:
    return bars.select(RETURN.fill_null(0.0)).to_series().to_numpy()


def cut_at_quantiles_of_all(bars: pl.DataFrame) -> pl.Series:
    """Winsorise at the first and last percent of everything: only the tails change."""
    returns = _returns(bars)
    return pl.Series(np.clip(returns, np.quantile(returns, 0.01), np.quantile(returns, 0.99)))


def binned_over_all(bars: pl.DataFrame) -> pl.Series:
    """Decile of each return among all."""
    returns = _returns(bars)
    return pl.Series(np.digitize(returns, np.quantile(returns, np.linspace(0.1, 0.9, 9))))


def principal_component(bars: pl.DataFrame) -> pl.DataFrame:
    """Each session's score on the first principal component of all sessions."""
    wide = bars.select(*KEY, RETURN.fill_null(0.0).alias("return")).pivot("symbol", index="event_time", values="return")
    matrix = wide.drop("event_time").fill_null(0.0).to_numpy()
    _, _, axes = np.linalg.svd(matrix - matrix.mean(axis=0), full_matrices=False)
    scores = wide.select("event_time").with_columns(pl.Series("principal_component", np.abs(matrix @ axes[0])))
    return bars.select(KEY).join(scores, on="event_time", how="left")


def cluster_of_the_return(bars: pl.DataFrame) -> pl.Series:
    """Distance to the nearer of two means, found by k-means over everything."""
    size = np.abs(_returns(bars))
    centres = np.array([size.min(), size.max()])
    for _ in range(10):
        is_far = np.abs(size - centres[0]) > np.abs(size - centres[1])
        if is_far.any() and not is_far.all():
            centres = np.array([size[~is_far].mean(), size[is_far].mean()])
    nearest: npt.NDArray[np.float64] = np.abs(size[:, None] - centres).min(axis=1)
    return pl.Series(nearest)


def trend_taken_off(bars: pl.DataFrame) -> pl.Series:
    """Logarithm of the price relative to the first, less a line through all of it."""
    pieces = []
    for own in bars.sort(KEY).partition_by("symbol", maintain_order=True):
        log = np.log(own["close"].to_numpy() / own["close"][0])
        time = np.arange(log.size)
        slope = 0.0 if log.size == 1 else np.polyfit(time, log, 1)[0]
        pieces.append(log - slope * time)
    return pl.Series(np.concatenate(pieces))


def seeded_by_the_number_of_bars(bars: pl.DataFrame) -> pl.Series:
    """A random projection whose seed is how many bars there are."""
    return pl.Series(_returns(bars) * np.random.default_rng(bars.height).normal())


def in_another_thread(bars: pl.DataFrame) -> pl.Series:
    """Tomorrow's return, computed by a pool of threads."""
    with ThreadPoolExecutor(2) as threads:
        own = bars.partition_by("symbol", maintain_order=True)
        tomorrow: list[pl.DataFrame] = list(threads.map(lambda one: one.select(CLOSE.shift(-1) / CLOSE - 1), own))
    return pl.concat(tomorrow).to_series()
