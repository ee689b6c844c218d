"""Feast without checks of argument types at run time, which are more than half of the time that importing it takes."""

from typing import Any

import typeguard

FEAST = "feast"
"""Package whose classes are left as they are."""


def skip_type_checks() -> None:
    """Let `typeguard.typechecked` return the classes of Feast as they are; to be called before Feast is imported.

    For each method of the classes that Feast decorates with it, typeguard 4.6 parses and compiles the whole module
    again: 3.3 of the 5.7 CPU seconds of `import feast` (0.67), in every process. typeguard's own ways to do without,
    ``python -O`` and its configuration, switch off every assertion of the process, or take effect after the compiling.
    What is handed to Feast here is checked by mypy. Everything else that uses typeguard is checked as ever.

    Examples
    --------
    >>> skip_type_checks()
    >>> class Entity: ...
    >>> Entity.__module__ = "feast.entity"
    >>> typeguard.typechecked(Entity) is Entity
    True
    """
    checked = typeguard.typechecked
    if checked.__module__ == __name__:
        return

    def unless_of_feast(target: Any = None, **options: Any) -> Any:
        if target is not None and target.__module__.partition(".")[0] == FEAST:
            return target
        return checked(target, **options)

    typeguard.typechecked = unless_of_feast
