"""The adjusted close of prices as traded, from the splits and dividends that the same vendor states. Pure functions."""

import polars as pl


def with_adjusted_close(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Fill `adj_close` of bars as traded that come without one.

    ``adj_close = close / product of the rises of all later ex-dates``, where the rise of an ex-date is
    ``ratio x (1 + amount / close)`` with the close of that session: the convention in which `lake.refine.find_actions`
    reads prices as traded. The basis is that of the last bar, whose `adj_close` is its close as sent; a later split or
    dividend re-bases the history, as it does for a vendor that adjusts by itself.

    Parameters
    ----------
    bars
        Columns of `SESSION_BARS` and any others, prices as text, sorted by symbol and session.
    actions
        Rows in the columns of `SESSION_ACTIONS`, of the whole span of the bars. An ex-date without a bar counts at the
        next one.

    Examples
    --------
    >>> from datetime import date
    >>> days = [date(2012, 12, 27), date(2012, 12, 28), date(2012, 12, 31)]
    >>> bars = pl.DataFrame({"symbol": "AAA", "session": days, "close": ["20", "10", "11"]})
    >>> bars = bars.with_columns(adj_close=pl.lit(None, pl.String), price_basis=pl.lit("as_traded"))
    >>> split = {"symbol": "AAA", "ex_date": days[1], "kind": "split", "ratio": "2.0", "amount": None}
    >>> with_adjusted_close(bars, pl.DataFrame([split]))["adj_close"].to_list()
    ['10.0', '10', '11']
    """
    is_ours = (pl.col("price_basis") == "as_traded") & pl.col("adj_close").is_null()
    closes = bars.filter(is_ours).select("symbol", "session", pl.col("close").cast(pl.Float64, strict=False))
    closes = closes.drop_nulls().unique(["symbol", "session"], keep="first", maintain_order=True)
    if closes.is_empty():
        return bars
    stated = actions.select(
        "symbol",
        pl.col("ex_date").alias("session"),
        pl.col("ratio").cast(pl.Float64).fill_null(1.0),
        pl.col("amount").cast(pl.Float64).fill_null(0.0),
    )
    placed = stated.sort("session").join_asof(
        closes.select("symbol", "session", pl.col("session").alias("bar"), "close").sort("session"),
        on="session",
        by="symbol",
        strategy="forward",
        check_sortedness=False,  # both sides are sorted by session; polars cannot check it within symbols
    )
    rises = (
        placed.drop_nulls("bar")
        .group_by("symbol", pl.col("bar").alias("session"))
        .agg((pl.col("ratio").product() * (1 + pl.col("amount").sum() / pl.col("close").first())).alias("rise"))
    )
    later = pl.col("rise").fill_null(1.0).shift(-1, fill_value=1.0).cum_prod(reverse=True).over("symbol")
    divisors = closes.join(rises, on=["symbol", "session"], how="left", maintain_order="left").select(
        "symbol", "session", later.alias("divisor")
    )
    adjusted = pl.col("close").cast(pl.Float64, strict=False) / pl.col("divisor")
    derived = pl.when(pl.col("divisor") == 1).then(pl.col("close")).otherwise(adjusted.cast(pl.String))
    return (
        bars.join(divisors, on=["symbol", "session"], how="left", maintain_order="left")
        .with_columns(pl.when(is_ours).then(derived).otherwise("adj_close").alias("adj_close"))
        .drop("divisor")
    )
