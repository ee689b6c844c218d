"""One explanation at a time in each worker, in a thread of its own that gives way to forecasts."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from lake.errors import OverloadedError, QuantlakeError
from serving.explain import Explainer, ExplanationKey, short_explanation
from serving.explain.narrative import Drivers, drivers_from

if TYPE_CHECKING:
    from starlette.datastructures import State

    from lake.market import Market
    from serving.api.explanations import CounterfactualRequest, ForecastExplanation
    from serving.explain import Explanation, ForecastAttention, WhatIf

logger = logging.getLogger("quantlake.serving")

QUEUE_SECONDS = 2.0
"""Longest time that a question waits for its turn."""
NICENESS = 10
"""Of the thread, where the system has a priority for each thread: forecasts are computed first."""

Answer = TypeVar("Answer")
Question = TypeVar("Question", "ExplanationKey", "CounterfactualRequest")


class ExplanationQueue:
    """Computes explanations of one event loop, one at a time.

    Parameters
    ----------
    queue_seconds
        How long a question may wait for its turn; one that waits longer is refused.
    """

    def __init__(self, queue_seconds: float = QUEUE_SECONDS) -> None:
        self._queue_seconds = queue_seconds
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explanations", initializer=_give_way)

    async def compute(self, work: Callable[[], Answer]) -> Answer:
        """Return what a function returns, computed when its turn has come.

        Raises
        ------
        OverloadedError
            If its turn does not come in time.
        """
        try:
            await asyncio.wait_for(self._turn.acquire(), self._queue_seconds)
        except TimeoutError as error:
            raise OverloadedError(
                f"Other explanations were computed for {self._queue_seconds:g} s, and one is computed at a time. Ask "
                "again a little later."
            ) from error
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._turn.release()

    def compute_for_thread(self, work: Callable[[], Answer]) -> Answer:
        """Return what a function returns, to another thread than the event loop's, which waits for its turn."""
        return self._thread.submit(work).result()

    def close(self) -> None:
        """End the thread once what is being computed is done."""
        self._thread.shutdown(cancel_futures=True)


def _give_way() -> None:
    with suppress(AttributeError, OSError):  # Linux alone has a niceness for each thread
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


async def explained(state: "State", key: ExplanationKey) -> "tuple[Explanation, bool]":
    """Return an explanation, and whether it was computed before."""
    return await _answered(state, key, _explainer_of(state).explain)


async def looked_at(state: "State", prediction_id: str) -> "tuple[ForecastAttention, bool]":
    """Return where the networks of a forecast looked, and whether it was computed before."""
    return await _answered(state, ExplanationKey(prediction_id, "attention"), _explainer_of(state).attention)


async def changed(state: "State", question: "CounterfactualRequest") -> "tuple[WhatIf, bool]":
    """Return what comes of a changed input, and whether it was computed before."""
    return await _answered(state, question, _explainer_of(state).what_if)


async def _answered(
    state: "State", question: "Question", compute: "Callable[[Question], Answer]"
) -> "tuple[Answer, bool]":
    """Return the answer to a question, and whether it was kept; one that was not is computed in its turn."""
    if _explainer_of(state).recall(question) is not None:
        return compute(question), True
    return await _queue_of(state).compute(partial(compute, question)), False


def _explainer_of(state: "State") -> Explainer:
    explainer: Explainer = state.explainer
    return explainer


async def told_beside(state: "State", prediction_id: str) -> "tuple[ForecastExplanation | None, str]":
    """Return the short explanation of a forecast that was just given; or None, and why there is none."""
    market: Market = state.predictor.market
    try:
        explanation, _ = await explained(state, ExplanationKey(prediction_id))
    except QuantlakeError as error:
        return None, str(error)
    return short_explanation(explanation, market), ""


def _queue_of(state: "State") -> ExplanationQueue:
    queue: ExplanationQueue = state.explanations
    return queue


def drivers_of(state: "State", prediction_id: str) -> Drivers | None:
    """Return the contributions that a written explanation states; None where they cannot be computed, which is logged.

    It is called by the thread that writes explanations, and waits for its turn among those that are computed.
    """
    explainer, key = _explainer_of(state), ExplanationKey(prediction_id)
    try:
        explain = partial(explainer.explain, key)
        is_known = explainer.recall(key) is not None
        found: Explanation = explain() if is_known else _queue_of(state).compute_for_thread(explain)
    except QuantlakeError as error:
        logger.info("no contributions for an explanation in words: %s", error)
        return None
    return drivers_from(found)
