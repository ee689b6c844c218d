"""The risk gate as advice sees it: a state, and what refuses."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from serving.risk import read_latch

if TYPE_CHECKING:
    from pathlib import Path

GateState = Literal["active", "reducing", "halted", "unknown"]


@dataclass(frozen=True)
class GateReading:
    """What the risk gate said at one instant.

    Parameters
    ----------
    state
        ``active``: orders pass; ``reducing``: only what lowers exposure; ``halted``: nothing is sent; ``unknown``:
        trading was never released in this home, so nothing was checked.
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


class SwitchGate:
    """The switch of a home (`quantlake desk halt`), read from its latch at each question.

    A home in which trading was never released has no state to go by: advice says that nothing was checked.

    Parameters
    ----------
    home
        Folder of the home.
    """

    def __init__(self, home: "Path") -> None:
        self._home = home

    def read(self, symbol: str) -> GateReading:
        """Return what the switch lets through for a symbol."""
        found = read_latch(self._home)
        if found.is_new:
            return UNKNOWN_GATE
        state = found.state_of("", "", symbol)
        if state == "active":
            return GateReading("active")
        if found.is_closed:
            return GateReading(state, f"the switch: {found.problem}")
        concerned = [each for each in found.restrictions if each.state == state and each.scope.covers("", "", symbol)]
        return GateReading(state, f"the switch ({concerned[-1].scope}: {concerned[-1].reason})")
