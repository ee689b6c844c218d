"""Explanations by the explanation process: questions go over its unix socket."""

import asyncio
from typing import TYPE_CHECKING

from lake.errors import ExplainerUnavailableError
from serving.explain.worker import wire
from serving.explain.worker.explanations import PATIENCE_SECONDS
from serving.explain.worker.turns import QUEUE_SECONDS
from serving.monitoring import current_correlation_id

if TYPE_CHECKING:
    from pathlib import Path

    from serving.explain.worker.questions import Answer, Asked, ExplanationQuestion

ANSWER_SECONDS = 60.0
"""Longest time that an answer may take beside the wait for its turn, on a machine that forecasts keep busy."""


class RemoteExplanations:
    """Answers by the process that listens on a socket; nothing is computed or kept here.

    Parameters
    ----------
    path
        Of the socket.
    """

    def __init__(self, path: "Path") -> None:
        self._path = path

    async def ask(
        self, question: "ExplanationQuestion[Asked, Answer]", asked: "Asked", patience_seconds: float = QUEUE_SECONDS
    ) -> bytes:
        """Return the answer as JSON; for the errors see `Explanations`."""
        told = wire.AskedQuestion.of(question, asked, patience_seconds, current_correlation_id.get())
        try:
            async with asyncio.timeout(patience_seconds + ANSWER_SECONDS):
                kind, body = await self._exchange(told.model_dump_json().encode())
        except (OSError, EOFError) as error:  # a timeout is an OSError
            raise ExplainerUnavailableError(
                f"The process that computes explanations does not answer ({_reason(error)}). It is started again, and "
                "forecasts are made meanwhile: ask again in some seconds."
            ) from error
        if kind == wire.ERROR:
            raise wire.ToldError.model_validate_json(body).as_error()
        return body

    def ask_from_thread(self, question: "ExplanationQuestion[Asked, Answer]", asked: "Asked") -> bytes:
        """Return the same to a thread."""
        return asyncio.run(self.ask(question, asked, PATIENCE_SECONDS))

    def close(self) -> None:
        """Do nothing: each question has a connection of its own."""

    async def _exchange(self, body: bytes) -> tuple[bytes, bytes]:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            await wire.send(writer, wire.QUESTION, body)
            return await wire.receive(reader)
        finally:
            writer.close()


def _reason(error: OSError | EOFError) -> str:
    if isinstance(error, TimeoutError):
        return f"it took longer than {ANSWER_SECONDS:g} s"
    if isinstance(error, EOFError):
        return "it ended while it answered"
    return error.strerror or str(error)
