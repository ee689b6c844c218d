"""Messages between a service worker and the explanation process: a question, its answer, or an error, as JSON.

Each message has a head with its kind and its length, so that one that breaks off is never taken for a whole one.
"""

import asyncio
import struct
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from lake import errors

if TYPE_CHECKING:
    from serving.explain.worker.questions import Asked, ExplanationQuestion

HEAD = struct.Struct(">cI")
"""Kind of the message and length of what follows in bytes."""
QUESTION, ANSWER, ERROR = b"q", b"a", b"e"
LARGEST_BYTES = 1 << 24
"""Of a message; an answer has some ten thousand."""
UNFORESEEN = "unforeseen"


class AskedQuestion(BaseModel):
    """A question with its kind.

    Parameters
    ----------
    question
        Name of the kind.
    asked
        What is asked.
    patience_seconds
        How long it may wait for its turn.
    correlation_id
        Of the request that asks, for the log.
    """

    question: str
    asked: dict[str, Any]
    patience_seconds: float
    correlation_id: str

    @classmethod
    def of(
        cls, question: "ExplanationQuestion[Asked, Any]", asked: "Asked", patience_seconds: float, correlation_id: str
    ) -> "AskedQuestion":
        """Return what is sent."""
        return cls(
            question=question.name,
            asked=asked.model_dump(mode="json", exclude_unset=True),
            patience_seconds=patience_seconds,
            correlation_id=correlation_id,
        )


class ToldError(BaseModel):
    """An error of another process.

    Parameters
    ----------
    kind
        Its class in `lake.errors`; `UNFORESEEN` for any other.
    message, attributes
        What it says and holds.
    """

    kind: str
    message: str
    attributes: dict[str, Any] = {}

    @classmethod
    def of(cls, error: Exception) -> "ToldError":
        """Return what is told of an error; of one that is not ours its class alone."""
        if isinstance(error, errors.QuantlakeError):
            return cls(kind=errors.kind_of(error), message=str(error), attributes=vars(error))
        return cls(kind=UNFORESEEN, message=type(error).__name__)

    def as_error(self) -> Exception:
        """Return the error that was told, to be raised here."""
        if self.kind == UNFORESEEN:
            return RuntimeError(f"The explanation process met {self.message}; the log has it with its traceback.")
        kind: type[errors.QuantlakeError] = getattr(errors, self.kind)
        made = kind.__new__(kind, self.message)  # the message is finished; a constructor would make another one
        vars(made).update(self.attributes)
        return made


async def send(writer: asyncio.StreamWriter, kind: bytes, body: bytes) -> None:
    """Send one message."""
    writer.write(HEAD.pack(kind, len(body)) + body)
    await writer.drain()


async def receive(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Receive one message: its kind, and what it says.

    Raises
    ------
    EOFError
        If it breaks off.
    OSError
        If it is longer than a message can be, or the connection is lost.
    """
    kind, length = HEAD.unpack(await reader.readexactly(HEAD.size))
    if length > LARGEST_BYTES:
        raise OSError(f"a message of {length:,} bytes, and {LARGEST_BYTES:,} are allowed")
    return kind, await reader.readexactly(length)
