"""Explanations as the endpoint asks for them, and their answers where an `Explainer` lies in the same process."""

from functools import partial
from typing import TYPE_CHECKING, Protocol

from serving.explain.worker.questions import Answer, Asked, ExplanationQuestion
from serving.explain.worker.turns import QUEUE_SECONDS, ExplanationQueue

if TYPE_CHECKING:
    from lake.market import Market
    from serving.explain.explainer import Explainer

PATIENCE_SECONDS = 20.0
"""How long a question of a thread, which no client waits for, waits for its turn."""


class Explanations(Protocol):
    """Answers questions about stored forecasts."""

    async def ask(self, question: ExplanationQuestion[Asked, Answer], asked: Asked) -> bytes:
        """Return the answer as JSON.

        Raises
        ------
        OverloadedError
            If its turn does not come in `QUEUE_SECONDS`.
        ExplainerUnavailableError
            If the process that computes it does not answer.
        QuantlakeError
            As `Explainer` raises it.
        """
        ...

    def ask_from_thread(self, question: ExplanationQuestion[Asked, Answer], asked: Asked) -> bytes:
        """Return the same to a thread without an event loop; it waits for its turn for `PATIENCE_SECONDS`."""
        ...

    def close(self) -> None:
        """Answer nothing any more."""
        ...


class LocalExplanations:
    """Answers by an explainer of this process, one question at a time; known answers need no turn.

    Parameters
    ----------
    explainer
        Computes, and keeps what it has computed.
    market
        Market of the home, whose horizons have names.
    """

    def __init__(self, explainer: "Explainer", market: "Market") -> None:
        self._explainer, self._market = explainer, market
        self.queue = ExplanationQueue()

    async def ask(
        self, question: ExplanationQuestion[Asked, Answer], asked: Asked, patience_seconds: float = QUEUE_SECONDS
    ) -> bytes:
        """Return the answer as JSON; for the errors see `Explanations`."""
        if self._is_known(question, asked):
            return self._answer(question, asked, is_cached=True)
        return await self.queue.compute(partial(self._answer, question, asked, is_cached=False), patience_seconds)

    def ask_from_thread(self, question: ExplanationQuestion[Asked, Answer], asked: Asked) -> bytes:
        """Return the same to a thread."""
        if self._is_known(question, asked):
            return self._answer(question, asked, is_cached=True)
        return self.queue.compute_for_thread(partial(self._answer, question, asked, is_cached=False), PATIENCE_SECONDS)

    def close(self) -> None:
        """End the thread that computes, once what is being computed is done."""
        self.queue.close()

    def _is_known(self, question: ExplanationQuestion[Asked, Answer], asked: Asked) -> bool:
        return self._explainer.recall(question.key(asked)) is not None

    def _answer(self, question: ExplanationQuestion[Asked, Answer], asked: Asked, *, is_cached: bool) -> bytes:
        return question.answered.dump_json(question.answer(self._explainer, self._market, asked, is_cached))
