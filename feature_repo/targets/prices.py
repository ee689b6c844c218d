"""The price that a forecast starts from, read off bars."""

import polars as pl

AS_TRADED = "as_traded"


def reference_price() -> list[pl.Expr]:
    """Return the columns ``reference_price`` and ``price_basis`` of a frame of bars.

    The price is the close as it was traded, in the market's currency; null where the source does not tell it, and then
    `price_basis` is what the source did to its prices. Returns and labels are never made from it, but from the adjusted
    close.

    Examples
    --------
    >>> bars = pl.DataFrame({"close_traded": [12.26, None], "price_basis": ["split_adjusted", "adjusted_close_only"]})
    >>> bars.select(reference_price()).rows()
    [(12.26, 'as_traded'), (None, 'adjusted_close_only')]
    """
    price = pl.col("close_traded")
    basis = pl.when(price.is_not_null()).then(pl.lit(AS_TRADED)).otherwise("price_basis")
    return [price.alias("reference_price"), basis.alias("price_basis")]


def undisclosed_price() -> pl.Expr:
    """Return what ``reference_price`` was before `price_basis` was kept, to judge forecasts of that time."""
    return pl.coalesce("close_unadjusted", "close").alias("undisclosed_price")
