"""Turns: explanations are computed one at a time, in one thread that gives way to forecasts."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from lake.errors import OverloadedError

if TYPE_CHECKING:
    from concurrent.futures import Future

QUEUE_SECONDS = 2.0
"""Longest time that a question of a request waits for its turn."""
NICENESS = 19
"""Of what computes explanations, the lowest priority: forecasts are computed first."""

Answer = TypeVar("Answer")


class ExplanationQueue:
    """Computes explanations one at a time, in the order in which they were asked for. Safe for threads."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explanations", initializer=_give_way)

    async def compute(self, work: Callable[[], Answer], patience_seconds: float = QUEUE_SECONDS) -> Answer:
        """Return what a function returns, computed when its turn has come.

        Parameters
        ----------
        patience_seconds
            How long it may wait for its turn.

        Raises
        ------
        OverloadedError
            If its turn does not come in time.
        """
        submitted = self._thread.submit(work)
        waiting = asyncio.wrap_future(submitted)
        await asyncio.wait([waiting], timeout=patience_seconds)
        _require_turn(submitted, patience_seconds)
        return await waiting

    def compute_for_thread(self, work: Callable[[], Answer], patience_seconds: float) -> Answer:
        """Return the same to a thread without an event loop; for the errors see `compute`."""
        submitted = self._thread.submit(work)
        wait([submitted], patience_seconds)
        _require_turn(submitted, patience_seconds)
        return submitted.result()

    def close(self) -> None:
        """End the thread once what is being computed is done."""
        self._thread.shutdown(cancel_futures=True)


def _require_turn(submitted: "Future[Answer]", patience_seconds: float) -> None:
    """Withdraw work whose turn has not come, and refuse it."""
    if submitted.cancel():
        raise OverloadedError(
            f"Other explanations were computed for {patience_seconds:g} s, and one is computed at a time. Ask again a "
            "little later."
        )


def _give_way() -> None:
    with suppress(AttributeError, OSError):  # Linux alone has a niceness for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
