"""Commands that a message names next, as they are typed for the market at hand."""

import re

from lake.errors import QuantlakeError

NAMED = re.compile(r"`quantlake ([^`]+)`")
"""A command in a sentence of a room that knows no market."""


def market_command(words: str) -> str:
    """Return the command line of these words; without a market where the settings cannot be read.

    Examples
    --------
    >>> market_command("demo"), market_command("lake repair bars")
    ('make demo', 'quantlake lake repair bars')
    """
    from lake.market import DEMO
    from lake.settings import settings

    try:
        market = settings().declared_market
    except QuantlakeError:
        market = DEMO
    return market.first_run if words == "demo" and market.name == DEMO.name else market.command(words)


def in_market(sentence: str) -> str:
    """Return a sentence whose commands name the market at hand.

    Examples
    --------
    >>> in_market("Table 'bars' is damaged. `quantlake lake repair bars` takes the file out.")
    "Table 'bars' is damaged. `quantlake lake repair bars` takes the file out."
    """
    return NAMED.sub(lambda found: f"`{market_command(found[1])}`", sentence)
