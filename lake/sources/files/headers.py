"""Which column is what, from the names of columns. Pure functions."""

from collections.abc import Sequence

ROLES: dict[str, tuple[str, ...]] = {
    "symbol": (
        "symbol", "ticker", "tic", "sym", "instrument", "secid", "sid", "code", "tscode", "stockcode", "asset",
        "security", "stock", "pair", "coin", "ric", "isin", "permno", "kurzel", "name",
    ),
    "time": (
        "date", "datetime", "timestamp", "time", "day", "session", "tradedate", "tradingday", "pricedate", "opentime",
        "stamp", "dt", "dates", "datum", "fecha", "data", "jour", "unix", "index",
    ),
    "open": ("open", "openprice", "pxopen", "o", "opening", "eroffnung", "ouverture", "apertura"),
    "high": ("high", "highprice", "pxhigh", "h", "max", "hoch", "haut", "maximo"),
    "low": ("low", "lowprice", "pxlow", "l", "min", "tief", "bas", "minimo"),
    "close": (
        "close", "closeprice", "closelast", "pxlast", "last", "closing", "c", "price", "settle", "settlement", "prc",
        "schluss", "schlusskurs", "cloture", "cierre", "value",
    ),
    "adj_close": (
        "adjclose", "adjustedclose", "closeadj", "adjcloseprice", "adjustedcloseprice", "closeadjusted", "adjprice",
    ),
    "volume": ("volume", "vol", "v", "pxvolume", "volumen", "quantity", "shares", "stuck", "umsatz"),
}  # fmt: skip
"""Names of each role's column, letters only and small, the likeliest first."""
FOLDED = str.maketrans("äöüáéíóúàèôûç", "aouaeiouaeouc")


def find_columns(names: Sequence[str]) -> dict[str, str]:
    """Return the column of each role that the names give away.

    Parameters
    ----------
    names
        Columns of a file, in order. Of several for one role the likeliest name wins, and then the first.

    Examples
    --------
    >>> find_columns(["Date", "Ticker", "Close/Last", "Adj Close", "<VOL>"])
    {'symbol': 'Ticker', 'time': 'Date', 'close': 'Close/Last', 'adj_close': 'Adj Close', 'volume': '<VOL>'}
    """
    letters = {name: "".join(c for c in name.lower().translate(FOLDED) if c.isalnum()) for name in reversed(names)}
    by_letters = {short: name for name, short in letters.items()}
    found: dict[str, str] = {}
    for role, known in ROLES.items():
        taken = next((by_letters[name] for name in known if name in by_letters), None)
        if taken is not None:
            found[role] = taken
    return found
