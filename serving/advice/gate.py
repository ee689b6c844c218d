"""The risk gate as advice sees it: a state, and what refuses."""

from dataclasses import dataclass
from typing import Literal, Protocol

GateState = Literal["active", "reducing", "halted", "unknown"]


@dataclass(frozen=True)
class GateReading:
    """What the risk gate said at one instant.

    Parameters
    ----------
    state
        ``active``: orders pass; ``reducing``: only what lowers exposure; ``halted``: nothing is sent; ``unknown``:
        this home has no risk gate, so nothing was checked.
    refused_by
        What refuses, in words; empty where nothing does.
    """

    state: GateState = "unknown"
    refused_by: str = ""


UNKNOWN_GATE = GateReading()


class AdviceGate(Protocol):
    """Answers what may be traded now."""

    def read(self, symbol: str) -> GateReading:
        """Return the state of the gate for a symbol; a read of a local file, well below a millisecond."""
        ...


class NoRiskGate:
    """A home without a risk gate; advice says that nothing was checked."""

    def read(self, symbol: str) -> GateReading:  # noqa: ARG002 - a port
        """Return that the state is not known."""
        return UNKNOWN_GATE
