"""Scores of a forecast against the return that came, as expressions over columns of quantiles."""

import polars as pl

QUANTILE_COLUMNS = {0.1: "p10", 0.5: "p50", 0.9: "p90"}


def pinball_loss(realised: str = "forward_return") -> pl.Expr:
    """Mean over the quantiles of ``max(q (y - f), (q - 1) (y - f))`` (Koenker and Bassett 1978).

    Parameters
    ----------
    realised
        Column of the return that came; p10, p50 and p90 are the forecast's.

    Examples
    --------
    >>> row = pl.DataFrame({"p10": [-0.01], "p50": [0.0], "p90": [0.01], "forward_return": [0.02]})
    >>> row.select(pinball_loss().round(6)).item()
    0.007333
    """
    return pl.mean_horizontal([_pinball(q, pl.col(realised) - pl.col(name)) for q, name in QUANTILE_COLUMNS.items()])


def is_direction_hit(realised: str = "forward_return") -> pl.Expr:
    """Whether p50 had the sign of the return; null where p50 is zero, and a return of exactly zero is a miss.

    Examples
    --------
    >>> rows = pl.DataFrame({"p50": [0.01, -0.01, 0.0], "forward_return": [0.02, 0.0, 0.02]})
    >>> rows.select(is_direction_hit()).to_series().to_list()
    [True, False, None]
    """
    return pl.when(pl.col("p50") != 0).then(pl.col("p50").sign() == pl.col(realised).sign())


def _pinball(quantile: float, gap: pl.Expr) -> pl.Expr:
    return pl.max_horizontal(quantile * gap, (quantile - 1) * gap)
