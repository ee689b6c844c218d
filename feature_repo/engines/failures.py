"""What a failed computation says, in this process and on a worker far away: the feature, the symbol and the reason."""

import polars as pl

from feature_repo.engines.panel import compute_group
from feature_repo.spec import FeatureGroup
from lake.errors import FeatureError
from lake.market import DEMO, Market


def compute_or_explain(bars: pl.DataFrame, group: FeatureGroup, *, market: Market = DEMO) -> pl.DataFrame:
    """Compute a group, or say which feature of which symbol cannot be.

    Raises
    ------
    FeatureError
        One sentence that names both. They are found by computing them one by one, once the whole has failed.
    """
    try:
        return compute_group(bars, group, market=market)
    except Exception as error:
        raise FeatureError(explain(bars, group, error, market=market)) from error


def explain(bars: pl.DataFrame, group: FeatureGroup, error: Exception, *, market: Market = DEMO) -> str:
    """Find the feature and the symbol by computing them one by one, once the whole has failed."""
    index = bars.filter(pl.col("symbol") == market.index)
    for own in bars.filter(pl.col("symbol") != market.index).partition_by("symbol", maintain_order=True):
        for feature in group:
            try:
                compute_group(pl.concat([own, index]), [feature], market=market)
            except Exception as alone:  # noqa: BLE001 - a user's function may raise anything, and all of it is told
                return (
                    f"Feature '{feature.name}' of symbol '{own['symbol'][0]}' cannot be computed over its "
                    f"{own.height} bars: {reason(alone)}. See that symbol's bars, or the function "
                    f"'{feature.function.name}'."
                )
    return (
        f"The features '{group.name}' of {bars['symbol'].n_unique()} symbols cannot be computed together, though each "
        f"can alone: {reason(error)}."
    )


def reason(error: Exception) -> str:
    """Kind and message of an error on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(".")
