"""The explanation process's side of its socket: answers questions until the process is asked to end."""

import asyncio
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING

from serving.explain.worker import wire
from serving.explain.worker.questions import QUESTIONS
from serving.monitoring import current_correlation_id
from serving.processes import socket_folder

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings
    from serving.explain.worker.explanations import LocalExplanations

logger = logging.getLogger("quantlake.explanations")

OTHERS = 0o177
"""Rights that a socket does not get: its mode is 600."""


def socket_path(configured: "Settings") -> "Path":
    """Path of the explanation process's socket, one for each port of a home, in a folder that nobody else can enter.

    Raises
    ------
    ConfigError
        If the folder belongs to somebody else, or is open to others.
    """
    return socket_folder(configured) / f"explanations-{configured.port}"


def bound(path: "Path") -> socket.socket:
    """Return a unix socket at a path, in place of one that an ended process left; its owner alone can connect."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX)
    before = os.umask(OTHERS)
    try:
        made.bind(str(path))
    finally:
        os.umask(before)
    return made


async def answer_until_ended(explanations: "LocalExplanations", path: "Path") -> None:
    """Listen at a path and answer until SIGTERM or SIGINT; the socket is removed then."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = await asyncio.start_unix_server(Answering(explanations), sock=bound(path))
    try:
        await ended.wait()
    finally:
        server.close()
        path.unlink(missing_ok=True)


class Answering:
    """Answers the one question of each connection.

    Parameters
    ----------
    explanations
        Answer it.
    """

    def __init__(self, explanations: "LocalExplanations") -> None:
        self._explanations = explanations

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer, and close the connection; one that breaks off is nobody's error here."""
        try:
            _, body = await wire.receive(reader)
            await wire.send(writer, *await self._answer(body))
        except (OSError, EOFError) as error:
            logger.info("a question was not answered: its connection is gone (%s)", error)
        finally:
            writer.close()

    async def _answer(self, body: bytes) -> tuple[bytes, bytes]:
        try:
            told = wire.AskedQuestion.model_validate_json(body)
            current_correlation_id.set(told.correlation_id)
            question = QUESTIONS[told.question]
            asked = question.asked.model_validate(told.asked)
            return wire.ANSWER, await self._explanations.ask(question, asked, told.patience_seconds)
        except Exception as error:
            described = wire.ToldError.of(error)
            if described.kind == wire.UNFORESEEN:
                logger.exception("a question was not answered")
            return wire.ERROR, described.model_dump_json().encode()
