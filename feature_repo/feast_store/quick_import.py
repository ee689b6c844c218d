"""Feast without checks of argument types at run time, which are more than half of the time that importing it takes."""

from typing import TypeVar

import typeguard

Checked = TypeVar("Checked")


def skip_type_checks() -> None:
    """Let `typeguard.typechecked` return what it decorates, before Feast is imported; later it has no effect.

    For each method of the classes that Feast decorates with it, typeguard 4.6 parses and compiles the whole module
    again: 4.5 of the 8 CPU seconds of `import feast` (0.67) on a busy machine, in every process. Nothing else that is
    installed uses typeguard, and mypy checks what is handed to Feast here.

    Examples
    --------
    >>> skip_type_checks()
    >>> @typeguard.typechecked
    ... def double(number: int) -> int:
    ...     return 2 * number
    >>> double("ab")
    'abab'
    """
    typeguard.typechecked = _as_it_is  # type: ignore[assignment] # the overload with options is used by nobody


def _as_it_is(target: Checked) -> Checked:
    return target
