"""Returns of the adjusted close."""

import polars as pl


def simple_return(sessions: int, price: str = "close") -> pl.Expr:
    """Return ``P_t / P_{t-n} - 1``; null for the first n bars.

    Parameters
    ----------
    sessions
        Bars of the same symbol to look back.
    price
        Column of prices; positive, or null where unknown.
    """
    return pl.col(price) / pl.col(price).shift(sessions) - 1
