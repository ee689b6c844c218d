"""Bars that look odd beside those before them. Pure functions; nothing is changed or refused."""

from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lake.tables import BARS, FINDINGS

WINDOW = 60
"""Bars before a bar, beside which it is judged."""
MOST_DEVIATIONS, MOST_VOLUMES, EQUAL_CLOSES = 8.0, 20.0, 5
SCALE = 1.4826
"""Median absolute deviation to standard deviation, for a normal distribution."""
LOOK_BACK = WINDOW + 1
BLOCK = 100_000
"""Bars whose windows are in memory at a time: 48 MB."""


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
    is_same = pl.col("symbol") == pl.col("symbol").shift(1)
    judged = bars.with_columns(
        pl.when(is_same).then(pl.col("close") / pl.col("close").shift(1) - 1).alias("change"),
        pl.int_range(pl.len()).over("symbol").alias("place"),
        (is_same & (pl.col("close") == pl.col("close").shift(1))).fill_null(value=False).not_().cum_sum().alias("run"),
    ).with_columns(pl.int_range(1, pl.len() + 1).over("run").cast(pl.Float64).alias("equal_closes"))
    explained = pl.concat(
        [
            actions.select("symbol", "event_time"),
            agreement.filter(pl.col("agreeing") > 1, pl.col("field") == "close").select("symbol", "event_time"),
        ]
    ).unique()
    found = _odd(judged)
    returns = found.filter(pl.col("rule") == "extreme_return").join(explained, on=["symbol", "event_time"], how="anti")
    return pl.concat([found.filter(pl.col("rule") != "extreme_return"), returns]).sort(FINDINGS.key)


def _odd(judged: pl.DataFrame) -> pl.DataFrame:
    """Findings before anything explains them."""
    places, volumes = judged["place"].to_numpy(), judged["volume"].to_numpy()
    deviations = _over_windows(judged["change"].to_numpy(), places, WINDOW + 1, _deviations)
    multiples = _over_windows(volumes, places, WINDOW, _multiples)
    rules = {
        "extreme_return": pl.Series(deviations) > MOST_DEVIATIONS,
        "extreme_volume": pl.Series(multiples) > MOST_VOLUMES,
        "stale_close": judged["equal_closes"] == EQUAL_CLOSES,
    }
    values = {"extreme_return": pl.Series(deviations), "extreme_volume": pl.Series(multiples)}
    found = [
        judged.with_columns(values.get(rule, judged["equal_closes"]).alias("value"), pl.lit(rule).alias("rule")).filter(
            is_odd & pl.col("value").is_finite()
        )
        for rule, is_odd in rules.items()
    ]
    return pl.concat(found).with_columns(pl.lit(BARS.name).alias("table")).select(FINDINGS.names)


Numbers = NDArray[np.float64]


def _over_windows(
    values: Numbers, places: NDArray[np.int64], least: int, measure: Callable[[Numbers, Numbers], Numbers]
) -> Numbers:
    """Measure each value beside the `WINDOW` ones before it, of the same symbol; NaN where there are fewer.

    Parameters
    ----------
    places
        Position of each bar within its symbol.
    least
        Bars of the symbol that must come before it.
    """
    found = np.full(len(values), np.nan)
    full = np.flatnonzero(places >= least)
    for start in range(0, len(full), BLOCK):
        rows = full[start : start + BLOCK]
        before = values[rows[:, None] - np.arange(WINDOW, 0, -1)]  # [bar, bars before]
        with np.errstate(divide="ignore", invalid="ignore"):
            found[rows] = measure(values[rows], before)
    return found


def _deviations(changes: Numbers, before: Numbers) -> Numbers:
    """Distance from the median of those before, in scaled median absolute deviations."""
    center = np.median(before, axis=1)
    return np.abs(changes - center) / (SCALE * np.median(np.abs(before - center[:, None]), axis=1))


def _multiples(volumes: Numbers, before: Numbers) -> Numbers:
    """Multiple of the median volume before; of a median of zero there is none."""
    return volumes / np.median(before, axis=1)
