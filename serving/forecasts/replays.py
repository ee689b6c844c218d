"""Blends of replayed forecasts: what the weights in force at each close make of the models' replays."""

import polars as pl

from serving.forecasts.blending import WEIGHT_TOLERANCE

QUANTILES = ("p10", "p50", "p90")
"""Columns of the quantiles of a forecast, in order."""
KEY = ("symbol", "event_time", "horizon_sessions")


def blend_replayed(forecasts: pl.DataFrame, blend_weights: pl.DataFrame) -> pl.DataFrame:
    """Blend replayed forecasts by the weights in force at their close, as `serving.forecasts.blending` does.

    Parameters
    ----------
    forecasts
        Replayed rows of `forecasts`, at most one per model and key.
    blend_weights
        Rows of `blend_weights`; in force at a close is the newest row up to it.

    Returns
    -------
    pl.DataFrame
        ``symbol``, ``event_time``, ``horizon_sessions``, ``regime``, the quantiles and ``known_time`` (when the last of
        the forecasts and weights was known), in order of time; only where every model with a weight made a forecast.
    """
    closes = forecasts.select("event_time").unique().sort("event_time")
    decided = pl.col("known_time").alias("decided")
    in_force = closes.join_asof(
        blend_weights.select("event_time", decided, "model_horizons", "models", "model_weights").sort("event_time"),
        on="event_time",
        strategy="backward",
    ).drop_nulls()
    names = {"model_horizons": "horizon_sessions", "models": "model_name", "model_weights": "weight"}
    weights = in_force.explode(*names, empty_as_null=True).rename(names).filter(pl.col("weight") > 0)
    weighted = forecasts.join(weights, on=["event_time", "horizon_sessions", "model_name"])
    blends = (
        weighted.sort(*KEY, "model_name")
        .group_by([*KEY, "regime"], maintain_order=True)
        .agg(
            *((pl.col(name) * pl.col("weight")).sum() for name in QUANTILES),
            pl.max_horizontal("known_time", "decided").max().alias("known_time"),
            pl.col("weight").sum(),
        )
    )
    is_whole = (pl.col("weight") - 1.0).abs() <= WEIGHT_TOLERANCE
    return blends.filter(is_whole).drop("weight").sort("event_time", "symbol", "horizon_sessions")
