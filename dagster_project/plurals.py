"""Counts with their noun: 1 forecast, 2 forecasts."""


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an ``s`` in the plural.

    >>> counted(1, "forecast"), counted(0, "row"), counted(12_345, "new row")
    ('1 forecast', '0 rows', '12,345 new rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
