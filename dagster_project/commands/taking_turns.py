"""One command at a time in a home, for the verbs that compute or clean up."""

from contextlib import AbstractContextManager

from rich.console import Console

from lake.settings import settings
from lake.turns import turn


def taking_turn(verb: str) -> AbstractContextManager[None]:
    """Let a verb, e.g. ``advance``, wait for the job that is at work in this home; who that is goes to stderr."""
    errors = Console(stderr=True, soft_wrap=True)
    return turn(settings().home, f"quantlake {verb}", lambda said: errors.print(said, markup=False, highlight=False))
