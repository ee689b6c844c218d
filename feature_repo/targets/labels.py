"""What came after each bar: the targets of training and the outcomes of forecasts. Never served."""

from collections.abc import Sequence

import polars as pl

from lake.market import DEMO, Market
from lake.tables import LABELS

HORIZONS: tuple[int, ...] = (1, 5)
"""How many sessions ahead is forecast."""


def compute_labels(bars: pl.DataFrame, horizons: Sequence[int] = HORIZONS, *, market: Market = DEMO) -> pl.DataFrame:
    """Compute the simple return of the adjusted close over the next bars of the same symbol.

    Parameters
    ----------
    bars
        Clean bars as of one instant, one row per (symbol, event_time).
    horizons
        Sessions ahead, each at least 1.
    market
        Says which symbol is the index, which is not forecast, and which calendar holds.

    Returns
    -------
    pl.DataFrame
        In the columns of `labels`: ``forward_return = P_{t+h} / P_t - 1``. `known_time` is the close of the session in
        which the horizon ends, or later where a bar of the interval came or was restated later. A bar whose horizon has
        not ended has no row.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> labels = compute_labels(tiny_market(["AAA", "^GSPC"], sessions=7, seed=1))
    >>> labels.group_by("horizon_sessions").len().sort("horizon_sessions").rows()  # of seven closes
    [(1, 6), (5, 2)]
    """
    own = bars.filter(pl.col("symbol") != market.index).sort("symbol", "event_time")
    return pl.concat([_horizon(own, horizon) for horizon in horizons]).sort(LABELS.key)


def _horizon(own: pl.DataFrame, horizon: int) -> pl.DataFrame:
    later = {name: pl.col(name).shift(-horizon).over("symbol") for name in ("close", "event_time")}
    known = [pl.col("known_time").shift(-step).over("symbol") for step in range(horizon + 1)]
    return (
        own.select(
            "symbol",
            "event_time",
            pl.max_horizontal(later["event_time"], *known).alias("known_time"),
            pl.lit(horizon, dtype=pl.Int32).alias("horizon_sessions"),
            (later["close"] / pl.col("close") - 1).alias("forward_return"),
        )
        .filter(pl.col("forward_return").is_not_null())
        .select(LABELS.names)
    )
