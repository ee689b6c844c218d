"""Why an online read was not answered by Redis: a closed set of kinds, each with a sentence for people.

Code compares the kind, never the sentence. The sentence names ports, limits and times, so it differs between two
answers of the same kind; API answers and logs show it, and metrics count the kind.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class DegradationKind(StrEnum):
    """What Redis did instead of giving an answer that may be served; the values are labels of a metric."""

    REFUSED = "refused"
    """No server listens at the address."""
    TIMEOUT = "timeout"
    """No answer within the deadline of the read."""
    FAILED = "failed"
    """Any other error of the connection or of the server."""
    LEFT_ALONE = "left_alone"
    """Not asked: the circuit breaker is open."""
    EMPTY = "empty"
    """The server holds no generation: nothing was materialised, or it was lost."""
    UNVERIFIED = "unverified"
    """A value, an index or the generation does not carry the seal of its key, or differs from the tables."""
    UNUSABLE = "unusable"
    """A verified answer that must not be served: an older generation, a missing row, another column layout."""
    RECORDED = "recorded"
    """Read back from a logged answer, which keeps the sentence and not the kind."""


@dataclass(frozen=True)
class Degradation:
    """Why the snapshot answered in place of Redis.

    Parameters
    ----------
    kind
        For code and metrics.
    detail
        One sentence for people; `str` renders it.

    Examples
    --------
    >>> because = Degradation(DegradationKind.EMPTY, "Redis is empty")
    >>> because.kind is DegradationKind.EMPTY, str(because), f"{because.kind}"
    (True, 'Redis is empty', 'empty')
    """

    kind: DegradationKind
    detail: str

    @classmethod
    def recorded(cls, detail: str) -> Self:
        """Return the degradation of a logged answer from its sentence."""
        return cls(DegradationKind.RECORDED, detail)

    def __str__(self) -> str:
        """Return the sentence."""
        return self.detail
