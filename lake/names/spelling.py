"""One canonical symbol for each way in which a file writes it. Pure functions."""

import unicodedata
from functools import lru_cache

LONGEST_SYMBOL = 32
"""Letters of the longest symbol that the endpoint takes."""
PUNCTUATION = frozenset(".-_=^+&:$@#*! ")
"""What a symbol may hold besides letters and digits; a slash would end its place in an address."""


@lru_cache(maxsize=65_536)  # a feed sends the same few thousand every session
def canonical_symbol(text: str) -> str | None:
    r"""Return the one spelling of a symbol, or None where it has none.

    Unicode's compatibility form (NFKC), no invisible characters, no white space round it and single spaces inside,
    capitals. Applied twice it changes nothing more.

    Parameters
    ----------
    text
        As written in a file.

    Returns
    -------
    str or None
        None where `why_refused` has a reason.

    Examples
    --------
    >>> canonical_symbol(" brk.b\u200b"), canonical_symbol("btc-usd"), canonical_symbol("NA")
    ('BRK.B', 'BTC-USD', 'NA')
    >>> canonical_symbol("EUR/USD") is None
    True
    """
    symbol = _folded(text)
    return None if _fault(symbol) else symbol


def why_refused(text: str) -> str:
    """Return what is wrong with a symbol and what to do about it, or "" for one that is accepted.

    Examples
    --------
    >>> why_refused("EUR/USD")
    "The symbol 'EUR/USD' holds '/', which no address of the endpoint can carry; write e.g. EUR-USD."
    """
    symbol = _folded(text)
    fault = _fault(symbol)
    return f"The symbol {text!r} {fault}." if fault else ""


def _folded(text: str) -> str:
    for _ in range(3):  # a capital letter can have a compatibility form of its own, so once is not always enough
        folded = unicodedata.normalize("NFKC", text).upper()
        folded = " ".join("".join(letter for letter in folded if unicodedata.category(letter) != "Cf").split())
        if folded == text:
            break
        text = folded
    return text


def _fault(symbol: str) -> str:
    if not any(letter.isalnum() for letter in symbol):
        return "has no letter and no digit; name the instrument"
    if len(symbol) > LONGEST_SYMBOL:
        return f"has {len(symbol)} letters, {LONGEST_SYMBOL} at most; shorten it"
    strange = next((letter for letter in symbol if not _is_allowed(letter)), None)
    if strange == "/":
        return f"holds '/', which no address of the endpoint can carry; write e.g. {symbol.replace('/', '-')}"
    if strange is not None:
        return f"holds {strange!a}; letters, digits and {''.join(sorted(PUNCTUATION)).strip()} are accepted"
    return ""


def _is_allowed(letter: str) -> bool:
    return letter.isalnum() or letter in PUNCTUATION or unicodedata.category(letter).startswith("M")
