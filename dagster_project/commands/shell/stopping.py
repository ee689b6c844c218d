"""What a verb says after Ctrl-C: what goes on from where it stopped."""

import shlex
from collections.abc import Sequence

from lake.errors import QuantlakeError

GOES_ON = ("demo", "run", "advance", "update")
"""Verbs that do each stage once, so that the same verb goes on from where it stopped."""


def stopped_sentence(arguments: Sequence[str]) -> str:
    """Return the sentence for a verb with these arguments, its command that of the market which was chosen.

    Examples
    --------
    >>> stopped_sentence(["demo"]), stopped_sentence(["advance", "--sessions", "5"])
    ('Stopped. `make demo` goes on from here.', 'Stopped. `quantlake advance` goes on from here.')
    >>> stopped_sentence(["lake", "compact"])
    'Stopped. What was finished is kept; `quantlake lake compact` begins again.'
    """
    verb = next((each for each in arguments if not each.startswith("-")), "")
    if verb in GOES_ON:
        return f"Stopped. `{_command(verb)}` goes on from here."
    words = shlex.join(arguments)
    return f"Stopped. What was finished is kept; `{_command(words)}` begins again." if words else "Stopped."


def _command(words: str) -> str:
    """The command line of these words, without a market where the settings cannot be read."""
    from lake.market import DEMO
    from lake.settings import settings

    try:
        market = settings().declared_market
    except QuantlakeError:
        market = DEMO
    return market.first_run if words == "demo" and market.name == DEMO.name else market.command(words)
