"""Symbols of a challenger's share: chosen by a hash, the same in every process and on every day."""

import hashlib
from functools import lru_cache


@lru_cache(maxsize=65_536)
def is_within(model: str, version: str, symbol: str, share: float) -> bool:
    """Whether a symbol belongs to the share of a challenger.

    The SHA-256 of model, version and symbol is read as a number from 0 to 1 and compared with the share. So the
    symbols of a challenger are the same at every request, in every process, on every day, until its share changes; a
    larger share keeps all symbols of a smaller one; and another version falls on other symbols.
    """
    digest = hashlib.sha256(f"{model} {version} {symbol}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64
