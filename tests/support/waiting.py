"""Waiting for what must come: the only place where a test reads a stopwatch or rests.

A time-out here bounds the waiting for something that never comes; it is never what is proved. What is proved is that
it came, how often, and before or after what. `tests/architecture/test_clocks.py` keeps every other test away from
stopwatches and rests, because what a stopwatch shows depends on what else the machine does.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 0.005

Found = TypeVar("Found")


def until(
    look: Callable[[], Found], missing: str = "it did not come to be", seconds: float = PATIENCE_SECONDS
) -> Found:
    """Look again and again until what is found counts as true, and return it.

    Parameters
    ----------
    look
        Returns what is there; an assertion in it that fails ends the waiting.
    missing
        What the test says if it never comes.
    seconds
        Upper limit of the waiting, on a machine however busy.
    """
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{missing} (last: {found!r})"
        time.sleep(PAUSE_SECONDS)
    return found


async def until_async(
    look: Callable[[], Found], missing: str = "it did not come to be", seconds: float = PATIENCE_SECONDS
) -> Found:
    """Do as `until` does, and let the event loop go on meanwhile."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"{missing} (last: {found!r})"
        await asyncio.sleep(PAUSE_SECONDS)
    return found


def rest(seconds: float) -> None:
    """Give something that must not happen the time to happen.

    A test that rests can only pass by mistake on a busy machine, and never fail by mistake; its mutant shows that the
    time is enough.
    """
    time.sleep(seconds)


async def rest_async(seconds: float) -> None:
    """Do as `rest` does, or as a client does that is told to come back later."""
    await asyncio.sleep(seconds)


class VirtualClock:
    """A clock that stands still until it is moved; called, it returns its seconds, as ``time.monotonic`` does.

    It begins at the real time, so that code that has already read the real clock takes it over without a jump.
    """

    def __init__(self) -> None:
        self.now = time.monotonic()

    def __call__(self) -> float:
        return self.now

    @property
    def monotonic(self) -> "VirtualClock":
        """Stand in for the module ``time`` where only this is used of it."""
        return self

    def move(self, seconds: float) -> None:
        """Let so many seconds pass at once."""
        self.now += seconds
