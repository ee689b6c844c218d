"""Traded volume, against its own past and in money."""

import polars as pl


def volume_ratio(sessions: int) -> pl.Expr:
    """Return ``V_t / mean(V over the last n bars, t included)``; null where a volume is unknown or all are zero."""
    mean = pl.col("volume").rolling_mean(sessions)
    return pl.when(mean > 0).then(pl.col("volume") / mean)


def dollar_volume() -> pl.Expr:
    """Return unadjusted close x unadjusted volume; null where either is unknown."""
    return pl.col("close_unadjusted") * pl.col("volume_unadjusted")


def log_dollar_volume() -> pl.Expr:
    """Return the natural logarithm of the traded money; null where none changed hands or it is unknown."""
    money = dollar_volume()
    return pl.when(money > 0).then(money.log())
