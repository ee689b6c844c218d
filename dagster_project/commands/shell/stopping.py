"""What a verb says after Ctrl-C: what goes on from where it stopped."""

import shlex
from collections.abc import Sequence

from dagster_project.commands.shell.market_commands import market_command

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
        return f"Stopped. `{market_command(verb)}` goes on from here."
    words = shlex.join(arguments)
    return f"Stopped. What was finished is kept; `{market_command(words)}` begins again." if words else "Stopped."
