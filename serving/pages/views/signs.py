"""The sign of a number, by which a page chooses arrow and colour."""


def sign_of(value: float | None) -> int:
    """Return -1, 0 or 1; 0 for what is not known.

    Examples
    --------
    >>> sign_of(-0.2), sign_of(None), sign_of(3)
    (-1, 0, 1)
    """
    return 0 if not value else (1 if value > 0 else -1)
