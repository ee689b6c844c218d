"""Job lock: one computing or cleaning command at a time in a home."""

from contextlib import AbstractContextManager, nullcontext

from rich.console import Console

from lake.disk import job_lock
from lake.settings import settings


def taking_turn(verb: str, *, makes_home: bool = False) -> AbstractContextManager[None]:
    """Wait for the job lock of this home, e.g. for ``advance``; the holder's name goes to stderr.

    Parameters
    ----------
    makes_home
        Whether the verb begins a home where there is none; any other then has nothing to hold, and makes nothing.
    """
    home = settings().home
    if not (makes_home or home.exists()):
        return nullcontext()
    errors = Console(stderr=True, soft_wrap=True)
    return job_lock(home, f"quantlake {verb}", lambda message: errors.print(message, markup=False, highlight=False))
