"""Numbers, instants and names as the pages print them; what is not known is an en dash, never a zero."""

from datetime import date, datetime

UNKNOWN = "–"
"""What stands in place of a value that is not known."""


def percent(value: float | None, digits: int = 1) -> str:
    """Return a fraction in percent.

    Examples
    --------
    >>> percent(0.7712), percent(None)
    ('77.1 %', '–')
    """
    return UNKNOWN if value is None else f"{100 * value:.{digits}f} %"


def signed(value: float | None, digits: int = 1) -> str:
    """Return a fraction in percent with its sign, a true minus; what rounds to zero has none.

    Examples
    --------
    >>> signed(0.00213), signed(-0.0674), signed(-0.0000001)
    ('+0.2 %', '−6.7 %', '0.0 %')
    """
    return UNKNOWN if value is None else f"{_sign(100 * value, digits)} %"


def points(value: float | None, digits: int = 1) -> str:
    """Return a difference of fractions in percentage points.

    Examples
    --------
    >>> points(0.0011)
    '+0.1 pp'
    """
    return UNKNOWN if value is None else f"{_sign(100 * value, digits)} pp"


def difference(value: float, digits: int = 1) -> str:
    """Return a number with its sign, a true minus, and thousands set apart; what rounds to zero has none.

    Examples
    --------
    >>> difference(-1234.5), difference(0.04), difference(7, 0)
    ('−1,234.5', '0.0', '+7')
    """
    return _sign(value, digits)


def number(value: float | None, digits: int = 4) -> str:
    """Return a number with so many significant digits; thousands are set apart.

    Examples
    --------
    >>> number(1234567.0), number(0.00012345), number(0.0), number(-2.5)
    ('1,234,567', '0.0001234', '0', '−2.5')
    """
    if value is None:
        return UNKNOWN
    is_large = abs(value) >= 10**digits
    text = f"{value:,.0f}" if is_large else f"{value:.{digits}g}"
    return text.replace("-", "−")


def interval(low: float, high: float) -> str:
    """Return the ends of an interval of shares, in whole percent.

    Examples
    --------
    >>> interval(0.7124, 0.8199)
    '71–82 %'
    """
    return f"{100 * low:.0f}–{100 * high:.0f} %"


def price(value: float | None) -> str:
    """Return a price: two decimals, more below one.

    Examples
    --------
    >>> price(1234.5), price(0.012345)
    ('1,234.50', '0.01235')
    """
    if value is None:
        return UNKNOWN
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.4g}"


def day(value: date | None) -> str:
    """Return a day, or the day in UTC of an instant.

    Examples
    --------
    >>> day(date(2012, 12, 31))
    '2012-12-31'
    """
    return UNKNOWN if value is None else f"{value:%Y-%m-%d}"


def instant(value: datetime | None) -> str:
    """Return an instant in UTC to the minute.

    Examples
    --------
    >>> from datetime import UTC
    >>> instant(datetime(2012, 12, 31, 21, tzinfo=UTC))
    '2012-12-31 21:00 UTC'
    """
    return UNKNOWN if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def words(name: str) -> str:
    """Return a name of the code for a reader.

    Examples
    --------
    >>> words("low_volatility_uptrend")
    'low volatility uptrend'
    """
    return name.replace("_", " ")


def count(value: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> count(1, "session"), count(2, "session"), count(0, "entry", "entries")
    ('1 session', '2 sessions', '0 entries')
    """
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def _sign(value: float, digits: int) -> str:
    text = f"{abs(value):,.{digits}f}"
    if not text.strip("0."):
        return text
    return f"{'−' if value < 0 else '+'}{text}"
