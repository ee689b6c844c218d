"""What a verb says after Ctrl-C: what goes on from where it stopped."""

from collections.abc import Sequence

from lake.errors import QuantlakeError

GOES_ON = ("demo", "run", "advance", "update")
"""Verbs that do each stage once, so that the same verb goes on from where it stopped."""


def stopped_sentence(arguments: Sequence[str]) -> str:
    """Return the sentence for a verb with these arguments.

    Examples
    --------
    >>> stopped_sentence(["demo"]), stopped_sentence(["advance", "--sessions", "5"])
    ('Stopped. `make demo` goes on from here.', 'Stopped. `quantlake advance` goes on from here.')
    >>> stopped_sentence(["lake", "compact"])
    'Stopped. What was finished is kept; `quantlake lake compact` begins again.'
    """
    verb = next((each for each in arguments if not each.startswith("-")), "")
    if verb in GOES_ON:
        return f"Stopped. `{_again(verb)}` goes on from here."
    words = " ".join(arguments)
    return f"Stopped. What was finished is kept; `quantlake {words}` begins again." if words else "Stopped."


def _again(verb: str) -> str:
    """The command that goes on, with the market where it is not the one of the home."""
    from lake.market import DEMO
    from lake.settings import settings

    try:
        market = settings().declared_market
    except QuantlakeError:
        return f"quantlake {verb}"
    if market.name == DEMO.name:
        return "make demo" if verb == "demo" else f"quantlake {verb}"
    return f"QUANTLAKE_MARKET={market.name} quantlake {verb}"
