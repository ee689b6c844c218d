"""Bars that look odd beside those before them. Pure functions; nothing is changed or refused."""

from typing import Any

import numpy as np
import polars as pl
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lake.tables import BARS, FINDINGS

WINDOW = 60
"""Bars before a bar, beside which it is judged."""
MOST_DEVIATIONS, MOST_VOLUMES, EQUAL_CLOSES = 8.0, 20.0, 5
SCALE = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""
LOOK_BACK = WINDOW + 1


def find_anomalies(bars: pl.DataFrame, actions: pl.DataFrame, agreement: pl.DataFrame) -> pl.DataFrame:
    """Return what looks odd of some bars, as rows of `findings`.

    - ``extreme_return``: a return further than 8 x 1.4826 median absolute deviations from the median of the 60 before
      it, where no action and no agreeing second source explains it;
    - ``extreme_volume``: more than 20 times the median volume of the 60 bars before;
    - ``stale_close``: the fifth equal close in a row.

    Every rule looks back only, so that a bar to come changes no finding.

    Parameters
    ----------
    bars
        One version per bar, in the columns of `bars`, sorted by symbol and event_time; each symbol with the 61 bars
        before those that are asked about.
    actions, agreement
        Rows of these tables for the same bars.

    Examples
    --------
    >>> from lake.sources import tiny_market
    >>> from lake.tables import ACTIONS, AGREEMENT
    >>> bars = tiny_market(["AAA"], sessions=80, seed=1)
    >>> last = pl.col("event_time") == pl.col("event_time").max()
    >>> odd = bars.with_columns(pl.when(last).then(pl.col("volume") * 100).otherwise("volume").alias("volume"))
    >>> find_anomalies(odd, ACTIONS.empty(), AGREEMENT.empty())["rule"].to_list()
    ['extreme_volume']
    """
    of_symbol = pl.col("close").shift(1).over("symbol")
    judged = bars.with_columns((pl.col("close") / of_symbol - 1).alias("change"))
    parts = [_odd(rows) for _, rows in judged.group_by("symbol", maintain_order=True)]
    explained = pl.concat(
        [
            actions.select("symbol", "event_time"),
            agreement.filter(pl.col("agreeing") > 1, pl.col("field") == "close").select("symbol", "event_time"),
        ]
    ).unique()
    found = pl.concat([FINDINGS.empty(), *parts])
    returns = found.filter(pl.col("rule") == "extreme_return").join(explained, on=["symbol", "event_time"], how="anti")
    return pl.concat([found.filter(pl.col("rule") != "extreme_return"), returns]).sort(FINDINGS.key)


def _odd(rows: pl.DataFrame) -> pl.DataFrame:
    """Findings of one symbol."""
    deviations = _deviations(rows["change"].to_numpy())
    volumes = rows["volume"].to_numpy() / _medians_before(rows["volume"].to_numpy())
    run = pl.Series(rows["close"]).rle_id()
    length = rows.select(pl.int_range(1, pl.len() + 1).over(run)).to_series()
    rules = {
        "extreme_return": (pl.Series(deviations), MOST_DEVIATIONS),
        "extreme_volume": (pl.Series(volumes), MOST_VOLUMES),
    }
    found = [
        rows.with_columns(values.alias("value"), pl.lit(rule).alias("rule")).filter(
            pl.col("value").is_finite() & (pl.col("value") > most)
        )
        for rule, (values, most) in rules.items()
    ]
    stale = rows.with_columns(length.cast(pl.Float64).alias("value"), pl.lit("stale_close").alias("rule"))
    found.append(stale.filter(pl.col("value") == EQUAL_CLOSES))
    return pl.concat(found).with_columns(pl.lit(BARS.name).alias("table")).select(FINDINGS.names)


def _deviations(changes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each value from the median of those before it, in scaled median absolute deviations."""
    found = np.full(len(changes), np.nan)
    if len(changes) > WINDOW:
        before = sliding_window_view(changes, WINDOW)[:-1]  # [bar, bars before]
        center = np.median(before, axis=1)
        spread = SCALE * np.median(np.abs(before - center[:, None]), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found[WINDOW:] = np.abs(changes[WINDOW:] - center) / spread
    return found


def _medians_before(values: NDArray[Any]) -> NDArray[np.float64]:
    found = np.full(len(values), np.nan)
    if len(values) > WINDOW:
        medians = np.median(sliding_window_view(values, WINDOW)[:-1], axis=1)
        found[WINDOW:] = np.where(medians > 0, medians, np.nan)
    return found
