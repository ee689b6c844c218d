"""The sign of a number, by which a page chooses arrow and colour."""


def sign_of(fraction: float | None, digits: int = 1) -> int:
    """Return -1, 0 or 1 by what is printed of a fraction in percent; 0 for what is not known or rounds to zero.

    Examples
    --------
    >>> sign_of(-0.2), sign_of(None), sign_of(0.0004), sign_of(0.0004, digits=2)
    (-1, 0, 0, 1)
    """
    printed = round(100 * (fraction or 0.0), digits)
    return (printed > 0) - (printed < 0)
