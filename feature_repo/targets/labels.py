"""What came after each bar: the targets of training and the outcomes of forecasts. Never served."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from lake.calendars import numbered_closes
from lake.horizon_ends import horizon_ends
from lake.horizons import MOST_BARS
from lake.market import DEMO, Market
from lake.spec import INSTANT
from lake.tables import LABELS

HORIZONS: tuple[int, ...] = DEMO.horizon_bars
"""Bars ahead that the packaged market forecasts; those of another one are its `Market.horizon_bars`."""
SYMBOL_STRIDE = 1 << 32
"""Between the places of two symbols; a grid has fewer closes, so that no horizon reaches from one into the other."""


def compute_labels(bars: pl.DataFrame, horizons: Sequence[int] | None = None, *, market: Market = DEMO) -> pl.DataFrame:
    """Compute the simple return of the adjusted close over the next bars of the market's calendar.

    Parameters
    ----------
    bars
        Clean bars as of one instant, one row per (symbol, event_time).
    horizons
        As `Market.horizon_bars` counts, each at least 1; those of the market by default.
    market
        Says which symbol is the index, which is not forecast, and which calendar holds.

    Returns
    -------
    pl.DataFrame
        In the columns of `labels`: ``forward_return = P_{t+h} / P_t - 1``. `known_time` is the close of the session in
        which the horizon ends, or later where a bar of the interval came or was restated later. A bar whose horizon has
        not ended has no row, nor one whose symbol has no bar at the session in which it ends: a halt makes no return
        over one session of one over many.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> labels = compute_labels(tiny_market(["AAA", "^GSPC"], sessions=7, seed=1))
    >>> labels.group_by("horizon_sessions").len().sort("horizon_sessions").rows()  # of seven closes
    [(1, 6), (5, 2)]
    """
    own = bars.filter(pl.col("symbol") != market.index).sort("symbol", "event_time")
    numbers = numbered_closes(own["event_time"].min(), own["event_time"].max(), market.grid)
    own = own.join(numbers, on="event_time", how="inner", maintain_order="left")
    stride = pl.col("symbol").rle_id().cast(pl.Int64) * SYMBOL_STRIDE
    own = own.with_columns((stride + pl.col("place")).alias("place"), stride.alias("stride"))
    labels = [
        _horizon(own, _target_places(own, numbers, horizon, market.grid), horizon)
        for horizon in horizons or market.horizon_bars
    ]
    return pl.concat(labels).filter(pl.col("forward_return").is_not_null()).sort(LABELS.key)


def _target_places(own: pl.DataFrame, numbers: pl.DataFrame, horizon: int, grid: str) -> npt.NDArray[np.int64]:
    """Place at which the horizon of each bar ends, -1 where it lies beyond the last bar."""
    if horizon <= MOST_BARS:
        return own["place"].to_numpy() + horizon
    ends = numbers.select("event_time", horizon_ends(numbers["event_time"], horizon, grid).alias("end"))
    ends = ends.join(numbers.rename({"event_time": "end", "place": "target"}), on="end", how="left")
    found = own.join(ends, on="event_time", how="left", maintain_order="left")
    return found.select((pl.col("stride") + pl.col("target")).fill_null(-1)).to_series().to_numpy()


def _horizon(own: pl.DataFrame, targets: npt.NDArray[np.int64], horizon: int) -> pl.DataFrame:
    """Labels of one horizon: each bar with the bar of its symbol at which the horizon ends, where there is one."""
    places = own["place"].to_numpy()
    end = np.searchsorted(places, targets)  # places ascend: by symbol, and by close within one
    start = np.flatnonzero(places[np.minimum(end, len(places) - 1)] == targets)
    ends = own[end[start]].select(pl.col("event_time").alias("end"), pl.col("close").alias("last"))
    latest = pl.Series("latest", _latest_within(own, start, end[start], horizon), dtype=pl.Int64).cast(INSTANT)
    paired = pl.concat([own[start], ends, latest.to_frame()], how="horizontal")
    return paired.select(
        "symbol",
        "event_time",
        pl.max_horizontal("end", "known_time", "latest").alias("known_time"),
        pl.lit(horizon, dtype=pl.Int32).alias("horizon_sessions"),
        (pl.col("last") / pl.col("close") - 1).alias("forward_return"),
    )


def _latest_within(
    own: pl.DataFrame, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64], horizon: int
) -> npt.NDArray[np.int64]:
    """When the last bar after each start, up to and with each end, was known; microseconds since 1970."""
    known = pl.col("known_time").to_physical()
    if horizon <= MOST_BARS:
        return own.select(known.rolling_max_by("place", f"{horizon}i")).to_series().to_numpy()[end]
    spans = np.stack([start + 1, end + 1], axis=1).ravel()
    if not spans.size:
        return spans
    padded = np.append(own.select(known).to_series().to_numpy(), np.iinfo(np.int64).min)
    found: npt.NDArray[np.int64] = np.maximum.reduceat(padded, spans)[::2]
    return found
