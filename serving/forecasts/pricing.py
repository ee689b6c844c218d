"""What a forecast says in prices, beside its returns."""

PRICED = ("price_basis", "currency", "target_session")
"""Columns of `forecasts` that say what its prices are; null in rows from before they were kept."""


def target_price(reference_price: float | None, p50: float) -> float | None:
    """Return the price at which the median return ends; None where the price that it starts from is not known.

    Examples
    --------
    >>> target_price(100.0, 0.5), target_price(None, 0.5)
    (150.0, None)
    """
    return None if reference_price is None else reference_price * (1.0 + p50)
