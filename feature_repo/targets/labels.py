"""What came after each bar: the targets of training and the outcomes of forecasts. Never served."""

from collections.abc import Sequence

import polars as pl

from lake.calendars import closes
from lake.market import DEMO, Market
from lake.tables import LABELS

HORIZONS: tuple[int, ...] = (1, 5)
"""How many sessions ahead is forecast."""


def compute_labels(bars: pl.DataFrame, horizons: Sequence[int] = HORIZONS, *, market: Market = DEMO) -> pl.DataFrame:
    """Compute the simple return of the adjusted close over the next sessions of the market's calendar.

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
        not ended has no row, nor one whose symbol has no bar at the session in which it ends: a halt makes no return
        over one session of one over many.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> labels = compute_labels(tiny_market(["AAA", "^GSPC"], sessions=7, seed=1))
    >>> labels.group_by("horizon_sessions").len().sort("horizon_sessions").rows()  # of seven closes
    [(1, 6), (5, 2)]
    """
    numbers = closes(market.calendar).select("event_time", pl.int_range(pl.len(), dtype=pl.Int32).alias("session"))
    own = bars.filter(pl.col("symbol") != market.index).sort("symbol", "event_time")
    own = own.join(numbers, on="event_time", how="left", maintain_order="left")
    return pl.concat([_horizon(own, horizon) for horizon in horizons]).sort(LABELS.key)


def _horizon(own: pl.DataFrame, horizon: int) -> pl.DataFrame:
    """Labels of one horizon; without a gap its last bar lies as many rows on as it has sessions, else nearer."""
    end = pl.col("session") + horizon
    steps = range(1, horizon + 1)
    session = {step: pl.col("session").shift(-step).over("symbol") for step in steps}

    def at_end(name: str) -> pl.Expr:
        return pl.coalesce([pl.when(session[n] == end).then(pl.col(name).shift(-n).over("symbol")) for n in steps])

    between = [pl.when(session[n] <= end).then(pl.col("known_time").shift(-n).over("symbol")) for n in steps]
    return (
        own.select(
            "symbol",
            "event_time",
            pl.max_horizontal(at_end("event_time"), "known_time", *between).alias("known_time"),
            pl.lit(horizon, dtype=pl.Int32).alias("horizon_sessions"),
            (at_end("close") / pl.col("close") - 1).alias("forward_return"),
        )
        .filter(pl.col("forward_return").is_not_null())
        .select(LABELS.names)
    )
