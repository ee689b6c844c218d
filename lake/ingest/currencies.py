"""What sources say that their prices are in, beside what the market declares. Pure functions."""

from collections.abc import Iterator, Mapping

from lake.market import Market

SHOWN = 3
CODE = 3
"""Letters of a code of ISO 4217, all of them capital."""


def about_currencies(source: str, said: Mapping[str, str], market: Market) -> Iterator[str]:
    """Say which currency a source states where the market declares none, and which symbols are in another.

    The index is left out: its points are no money.

    Parameters
    ----------
    said
        What the prices of each symbol are in, by symbol. Vendors write hundredths in their own ways, e.g. ``GBp``.

    Examples
    --------
    >>> [*about_currencies("yahoo", {"VOD.L": "GBp", "^FTSE": "GBP"}, Market("uk", index="^FTSE", currency="GBP"))]
    ["'yahoo' states prices in GBp (VOD.L), and the market declares GBP: answers would give them another currency."]
    """
    by_currency: dict[str, list[str]] = {}
    for symbol, currency in sorted(said.items()):
        if symbol != market.index:
            by_currency.setdefault(currency, []).append(symbol)
    if market.currency is None:
        (currency,) = by_currency if len(by_currency) == 1 else ("",)
        if len(currency) == CODE and currency.isupper():
            yield (
                f"'{source}' states its prices in {currency}, and the market declares no currency. Add `currency: "
                f"{currency}` to market.yaml, so that answers say it."
            )
        return
    for currency, symbols in by_currency.items():
        if currency != market.currency:
            named = ", ".join(symbols[:SHOWN]) + (f" and {len(symbols) - SHOWN} more" if len(symbols) > SHOWN else "")
            yield (
                f"'{source}' states prices in {currency} ({named}), and the market declares {market.currency}: answers "
                "would give them another currency."
            )
