"""In whose shares stated prices are: the splits between a session and the delivery that tells it. Pure functions."""

import polars as pl


def with_later_splits(bars: pl.DataFrame, actions: pl.DataFrame) -> pl.DataFrame:
    """Add ``later_splits``: by how much a share of the session has multiplied until the prices were stated.

    Price times `later_splits` is the price as it was traded. A vendor that adjusts for splits states every price in the
    shares of the day it is asked, so all splits that it knows of by then count, those after the bars among them.

    Parameters
    ----------
    bars
        ``symbol``, ``session`` and ``price_basis``, and any other columns.
    actions
        ``symbol``, ``ex_date``, ``kind`` and ``ratio`` as text: every split that the prices are adjusted for.

    Returns
    -------
    pl.DataFrame
        The bars in their order. ``later_splits`` is text like the prices: ``1.0`` where no split came since, null where
        `price_basis` is not ``split_adjusted``.

    Examples
    --------
    >>> from datetime import date
    >>> days = [date(2024, 6, 7), date(2024, 6, 10)]
    >>> bars = pl.DataFrame({"symbol": "NVDA", "session": days, "price_basis": "split_adjusted"})
    >>> split = {"symbol": "NVDA", "ex_date": days[1], "kind": "split", "ratio": "10"}
    >>> with_later_splits(bars, pl.DataFrame([split]))["later_splits"].to_list()
    ['10.0', '1.0']
    """
    splits = actions.filter(pl.col("kind") == "split").select(
        "symbol", "ex_date", pl.col("ratio").cast(pl.Float64).alias("factor")
    )
    later = (
        bars.select("symbol", "session")
        .unique()
        .join(splits, on="symbol")
        .filter(pl.col("ex_date") > pl.col("session"))
        .group_by("symbol", "session")
        .agg(pl.col("factor").product())
    )
    is_adjusted = pl.col("price_basis") == "split_adjusted"
    factor = pl.when(is_adjusted).then(pl.col("factor").fill_null(1.0)).cast(pl.String)
    return (
        bars.join(later, on=["symbol", "session"], how="left", maintain_order="left")
        .with_columns(factor.alias("later_splits"))
        .drop("factor")
    )
