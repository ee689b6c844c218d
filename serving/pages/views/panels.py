"""The states of a panel: what it shows, or why it shows nothing, and whether to trust it now."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from lake.errors import NotReadyError, OnlineStoreError, OverloadedError, QuantlakeError, TableNotFoundError

Shown = TypeVar("Shown")
PanelState = Literal["ready", "empty", "stale", "degraded", "error"]
NOT_YET = (NotReadyError, TableNotFoundError)
BUSY = (OverloadedError, OnlineStoreError)


@dataclass(frozen=True)
class Panel(Generic[Shown]):
    """A panel of a page.

    Parameters
    ----------
    shown
        Its view model; None where there is nothing to show.
    state
        ``ready``; ``empty`` with the reason and what to do; ``stale`` and ``degraded`` beside what is shown; ``error``.
    note
        What a reader has to know of it, as a sentence.
    """

    shown: Shown | None
    state: PanelState = "ready"
    note: str = ""


def panel_of(make: Callable[[], Shown]) -> "Panel[Shown]":
    """Return the panel of a view model; an error that this project raises on purpose becomes its state.

    Examples
    --------
    >>> panel_of(lambda: 1).state
    'ready'
    >>> def fail(): raise NotReadyError("Nothing was forecast yet.")
    >>> panel_of(fail)
    Panel(shown=None, state='empty', note='Nothing was forecast yet.')
    """
    try:
        return Panel(make())
    except NOT_YET as error:
        return Panel(None, "empty", str(error))
    except BUSY as error:
        return Panel(None, "degraded", str(error))
    except QuantlakeError as error:
        return Panel(None, "error", str(error))
